// The ops on any device: what comes in is checked, what goes out is made, and the device computes.
#ifndef ASH_NATIVE_TENSORFLOW_OP_KERNELS_H_
#define ASH_NATIVE_TENSORFLOW_OP_KERNELS_H_

#include <string>

#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/lib/strings/numbers.h"

namespace ash {

using tensorflow::int64;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Status;
using tensorflow::Tensor;

// The dtype of z_k and alpha beside an x of T.
template <typename T>
struct ParameterOf {
  using type = T;
};
template <>
struct ParameterOf<Eigen::half> {
  using type = float;
};

// Tensors of the forward op, of `batch` samples of `size` elements each.
struct ForwardCall {
  int64 batch, size;
  const Tensor &x, &z_k, &alpha;
  double leak;
  Tensor *y, *mean, *sigma;  // y may be x
};

struct BackwardCall {
  int64 batch, size;
  const Tensor &dy, &x, &z_k, &alpha, &mean, &sigma;
  double leak;
  Tensor *dx, *dz_k, *dalpha;  // dx may be dy
};

// Elements of a sample of x [N, ...].
inline int64 SampleSize(const Tensor& x) {
  int64 size = 1;
  for (int i = 1; i < x.dims(); ++i) size *= x.dim_size(i);
  return size;
}

// What the two ops have in common.
class AshOp : public tensorflow::OpKernel {
 public:
  explicit AshOp(OpKernelConstruction* context) : OpKernel(context) {
    using tensorflow::errors::InvalidArgument;
    std::string text;
    OP_REQUIRES_OK(context, context->GetAttr("leak", &text));
    OP_REQUIRES(context,
                tensorflow::strings::safe_strtod(text.c_str(), &leak_) && leak_ >= 0 && leak_ < 1,
                InvalidArgument("leak must be a number in [0, 1), got '", text, "'"));
  }

 protected:
  // Shapes that only a running graph knows.
  static Status CheckShapes(const Tensor& x, const Tensor& z_k, const Tensor& alpha) {
    using tensorflow::errors::InvalidArgument;
    if (x.dims() < 2) {
      return InvalidArgument("ASH needs rank 2 or more, batch first; got shape ",
                             x.shape().DebugString());
    }
    if (z_k.NumElements() != 1 || alpha.NumElements() != 1) {
      return InvalidArgument("z_k and alpha must have one element each; got shapes ",
                             z_k.shape().DebugString(), " and ", alpha.shape().DebugString());
    }
    return Status::OK();
  }

  double leak_ = 0;
};

// Device: a struct with static Status Forward<T>(OpKernelContext*, const ForwardCall&).
template <typename Device, typename T>
class AshForwardOp : public AshOp {
 public:
  using AshOp::AshOp;

  void Compute(OpKernelContext* context) override {
    const Tensor &x = context->input(0), &z_k = context->input(1), &alpha = context->input(2);
    OP_REQUIRES_OK(context, CheckShapes(x, z_k, alpha));
    const tensorflow::TensorShape samples({x.dim_size(0)});
    Tensor *y, *mean, *sigma;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({0}, 0, x.shape(), &y));
    OP_REQUIRES_OK(context, context->allocate_output(1, samples, &mean));
    OP_REQUIRES_OK(context, context->allocate_output(2, samples, &sigma));
    OP_REQUIRES_OK(context, Device::template Forward<T>(
                                context, {x.dim_size(0), SampleSize(x), x, z_k, alpha, leak_, y,
                                          mean, sigma}));
  }
};

// Device: a struct with static Status Backward<T>(OpKernelContext*, const BackwardCall&).
template <typename Device, typename T>
class AshBackwardOp : public AshOp {
 public:
  using AshOp::AshOp;

  void Compute(OpKernelContext* context) override {
    using tensorflow::errors::InvalidArgument;
    const Tensor &dy = context->input(0), &x = context->input(1), &z_k = context->input(2),
                 &alpha = context->input(3), &mean = context->input(4), &sigma = context->input(5);
    OP_REQUIRES_OK(context, CheckShapes(x, z_k, alpha));
    OP_REQUIRES(context, dy.shape() == x.shape(),
                InvalidArgument("dy must have the shape of x, ", x.shape().DebugString(),
                                "; got ", dy.shape().DebugString()));
    OP_REQUIRES(context,
                mean.NumElements() == x.dim_size(0) && sigma.NumElements() == x.dim_size(0),
                InvalidArgument("mean and sigma must have an element for each of ", x.dim_size(0),
                                " samples; got shapes ", mean.shape().DebugString(), " and ",
                                sigma.shape().DebugString()));
    Tensor *dx, *dz_k, *dalpha;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({0}, 0, x.shape(), &dx));
    OP_REQUIRES_OK(context, context->allocate_output(1, z_k.shape(), &dz_k));
    OP_REQUIRES_OK(context, context->allocate_output(2, alpha.shape(), &dalpha));
    OP_REQUIRES_OK(context, Device::template Backward<T>(
                                context, {x.dim_size(0), SampleSize(x), dy, x, z_k, alpha, mean,
                                          sigma, leak_, dx, dz_k, dalpha}));
  }
};

#define ASH_REGISTER_DTYPE(Kernels, device, T)                                 \
  REGISTER_KERNEL_BUILDER(Name("AshForward")                                   \
                              .Device(device)                                  \
                              .TypeConstraint<T>("T")                          \
                              .TypeConstraint<ParameterOf<T>::type>("P"),      \
                          AshForwardOp<Kernels, T>);                           \
  REGISTER_KERNEL_BUILDER(Name("AshBackward")                                  \
                              .Device(device)                                  \
                              .TypeConstraint<T>("T")                          \
                              .TypeConstraint<ParameterOf<T>::type>("P"),      \
                          AshBackwardOp<Kernels, T>)

// Registers both ops, for all dtypes, on a device.
#define ASH_REGISTER(Kernels, device)               \
  ASH_REGISTER_DTYPE(Kernels, device, Eigen::half); \
  ASH_REGISTER_DTYPE(Kernels, device, float);       \
  ASH_REGISTER_DTYPE(Kernels, device, double)

}  // namespace ash

#endif  // ASH_NATIVE_TENSORFLOW_OP_KERNELS_H_
