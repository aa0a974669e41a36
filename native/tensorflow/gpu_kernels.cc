// The ops on the GPU: TensorFlow's tensors and stream around cuda/ash.h.
#include <algorithm>

#include "cuda/ash.h"
#include "op_kernels.h"
#include "tensorflow/stream_executor/stream.h"
#include "tensorflow/stream_executor/stream_executor_internal.h"

namespace ash {
namespace {

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

Status AllocateWorkspace(OpKernelContext* context, int64 batch, int64 size, Tensor* workspace) {
  const int64 bytes = static_cast<int64>(ash_cuda_workspace_bytes(batch, size));
  return context->allocate_temp(tensorflow::DT_INT8,
                                tensorflow::TensorShape({std::max<int64>(1, bytes)}), workspace);
}

Status ToStatus(int error) {
  if (error == 0) return Status::OK();
  return tensorflow::errors::Internal("ASH on the GPU: ", ash_cuda_error_string(error));
}

template <typename T>
T* Data(Tensor* tensor) {
  return tensor->flat<T>().data();
}
template <typename T>
const T* Data(const Tensor& tensor) {
  return tensor.flat<T>().data();
}

struct OnGpu {
  template <typename T>
  static Status Forward(OpKernelContext* context, const ForwardCall& call) {
    using P = typename ParameterOf<T>::type;
    Tensor workspace;
    TF_RETURN_IF_ERROR(AllocateWorkspace(context, call.batch, call.size, &workspace));
    return ToStatus(ash_cuda_forward(
        DtypeOf<T>::value, Data<T>(call.x), call.batch, call.size, Data<P>(call.z_k),
        Data<P>(call.alpha), call.leak, Data<T>(call.y), Data<double>(call.mean),
        Data<double>(call.sigma), Data<tensorflow::int8>(&workspace), StreamOf(context)));
  }

  template <typename T>
  static Status Backward(OpKernelContext* context, const BackwardCall& call) {
    using P = typename ParameterOf<T>::type;
    Tensor workspace;
    TF_RETURN_IF_ERROR(AllocateWorkspace(context, call.batch, call.size, &workspace));
    return ToStatus(ash_cuda_backward(
        DtypeOf<T>::value, Data<T>(call.dy), Data<T>(call.x), Data<double>(call.mean),
        Data<double>(call.sigma), call.batch, call.size, Data<P>(call.z_k), Data<P>(call.alpha),
        call.leak, Data<T>(call.dx), Data<P>(call.dz_k), Data<P>(call.dalpha),
        Data<tensorflow::int8>(&workspace), StreamOf(context)));
  }
};

ASH_REGISTER(OnGpu, tensorflow::DEVICE_GPU);

}  // namespace
}  // namespace ash
