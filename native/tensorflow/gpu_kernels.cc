// The ops on the GPU: TensorFlow's tensors and stream around cuda/ash.h.
#include <algorithm>

#include "cuda/ash.h"
#include "op_arguments.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/stream_executor/stream.h"
#include "tensorflow/stream_executor/stream_executor_internal.h"

namespace ash {
namespace {

using tensorflow::int64;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

template <typename T>
struct DtypeOf;
template <>
struct DtypeOf<Eigen::half> {
  static constexpr AshDtype value = ASH_HALF;
};
template <>
struct DtypeOf<float> {
  static constexpr AshDtype value = ASH_FLOAT;
};
template <>
struct DtypeOf<double> {
  static constexpr AshDtype value = ASH_DOUBLE;
};

// The cudaStream_t of a context. GpuStreamMemberHack gives the address of where it is kept.
void* StreamOf(OpKernelContext* context) {
  return *static_cast<void**>(
      context->op_device_context()->stream()->implementation()->GpuStreamMemberHack());
}

tensorflow::Status AllocateWorkspace(OpKernelContext* context, int64 batch, int64 size,
                                     Tensor* workspace) {
  const int64 bytes = static_cast<int64>(ash_cuda_workspace_bytes(batch, size));
  return context->allocate_temp(tensorflow::DT_INT8, TensorShape({std::max<int64>(1, bytes)}),
                                workspace);
}

tensorflow::Status ToStatus(int error) {
  if (error == 0) return tensorflow::Status::OK();
  return tensorflow::errors::Internal("ASH on the GPU: ", ash_cuda_error_string(error));
}

template <typename T>
const void* Data(const Tensor& tensor) {
  return tensor.flat<T>().data();
}

template <typename T>
class AshForwardGpuOp : public OpKernel {
 public:
  explicit AshForwardGpuOp(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, ReadLeak(context, &leak_));
  }

  void Compute(OpKernelContext* context) override {
    using P = typename ParameterOf<T>::type;
    const Tensor &x = context->input(0), &z_k = context->input(1), &alpha = context->input(2);
    OP_REQUIRES_OK(context, CheckShapes(x, z_k, alpha));
    const int64 batch = x.dim_size(0), size = SampleSize(x);
    Tensor *y, *mean, *sigma, workspace;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({0}, 0, x.shape(), &y));
    OP_REQUIRES_OK(context, context->allocate_output(1, TensorShape({batch}), &mean));
    OP_REQUIRES_OK(context, context->allocate_output(2, TensorShape({batch}), &sigma));
    OP_REQUIRES_OK(context, AllocateWorkspace(context, batch, size, &workspace));
    OP_REQUIRES_OK(context,
                   ToStatus(ash_cuda_forward(
                       DtypeOf<T>::value, Data<T>(x), batch, size, Data<P>(z_k), Data<P>(alpha),
                       leak_, y->flat<T>().data(), mean->flat<double>().data(),
                       sigma->flat<double>().data(), workspace.flat<tensorflow::int8>().data(),
                       StreamOf(context))));
  }

 private:
  double leak_;
};

template <typename T>
class AshBackwardGpuOp : public OpKernel {
 public:
  explicit AshBackwardGpuOp(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, ReadLeak(context, &leak_));
  }

  void Compute(OpKernelContext* context) override {
    using P = typename ParameterOf<T>::type;
    const Tensor &dy = context->input(0), &x = context->input(1), &z_k = context->input(2),
                 &alpha = context->input(3), &mean = context->input(4), &sigma = context->input(5);
    OP_REQUIRES_OK(context, CheckShapes(x, z_k, alpha));
    OP_REQUIRES_OK(context, CheckGradientShapes(dy, x, mean, sigma));
    const int64 batch = x.dim_size(0), size = SampleSize(x);
    Tensor *dx, *dz_k, *dalpha, workspace;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({0}, 0, x.shape(), &dx));
    OP_REQUIRES_OK(context, context->allocate_output(1, z_k.shape(), &dz_k));
    OP_REQUIRES_OK(context, context->allocate_output(2, alpha.shape(), &dalpha));
    OP_REQUIRES_OK(context, AllocateWorkspace(context, batch, size, &workspace));
    OP_REQUIRES_OK(context,
                   ToStatus(ash_cuda_backward(
                       DtypeOf<T>::value, Data<T>(dy), Data<T>(x), mean.flat<double>().data(),
                       sigma.flat<double>().data(), batch, size, Data<P>(z_k), Data<P>(alpha),
                       leak_, dx->flat<T>().data(), dz_k->flat<P>().data(),
                       dalpha->flat<P>().data(), workspace.flat<tensorflow::int8>().data(),
                       StreamOf(context))));
  }

 private:
  double leak_;
};

#define ASH_REGISTER(T)                                                                     \
  REGISTER_KERNEL_BUILDER(Name("AshForward")                                                \
                              .Device(tensorflow::DEVICE_GPU)                               \
                              .TypeConstraint<T>("T")                                       \
                              .TypeConstraint<ParameterOf<T>::type>("P"),                   \
                          AshForwardGpuOp<T>);                                              \
  REGISTER_KERNEL_BUILDER(Name("AshBackward")                                               \
                              .Device(tensorflow::DEVICE_GPU)                               \
                              .TypeConstraint<T>("T")                                       \
                              .TypeConstraint<ParameterOf<T>::type>("P"),                   \
                          AshBackwardGpuOp<T>)
ASH_REGISTER(Eigen::half);
ASH_REGISTER(float);
ASH_REGISTER(double);
#undef ASH_REGISTER

}  // namespace
}  // namespace ash
