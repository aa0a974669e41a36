// The ops on the CPU: TensorFlow's tensors and threads around cpu/ash.h.
#include <algorithm>
#include <limits>

#include "cpu/ash.h"
#include "cpu/half.h"
#include "op_kernels.h"
#include "tensorflow/core/lib/core/threadpool.h"

namespace ash {
namespace {

Executor ExecutorOf(OpKernelContext* context) {
  const auto& workers = *context->device()->tensorflow_cpu_worker_threads();
  return {workers.num_threads, [&workers](int64_t count, int64_t cost, const Executor::Task& task) {
            workers.workers->ParallelFor(count, cost, task);
          }};
}

// Casts to P, saturating instead of overflowing; NaN stays.
template <typename P>
P Narrow(double value) {
  const double largest = static_cast<double>(std::numeric_limits<P>::max());
  return static_cast<P>(value > largest ? largest : value < -largest ? -largest : value);
}

// A tensor's elements in the type that is computed in: the tensor itself, or for half a float copy.
template <typename T>
class Computed {
 public:
  Status Read(OpKernelContext*, const Executor&, const Tensor& tensor) {
    data_ = tensor.flat<T>().data();
    return Status::OK();
  }
  Status Prepare(OpKernelContext*, Tensor* output) {
    output_ = output->flat<T>().data();
    return Status::OK();
  }
  void Write(const Executor&, Tensor*) const {}
  const T* data() const { return data_; }
  T* output() { return output_; }

 private:
  const T* data_ = nullptr;
  T* output_ = nullptr;
};

template <>
class Computed<Eigen::half> {
 public:
  Status Read(OpKernelContext* context, const Executor& executor,
                          const Tensor& tensor) {
    TF_RETURN_IF_ERROR(context->allocate_temp(tensorflow::DT_FLOAT, tensor.shape(), &floats_));
    const uint16_t* from = Bits(tensor.flat<Eigen::half>().data());
    float* to = floats_.flat<float>().data();
    executor.parallel_for(tensor.NumElements(), 1, [from, to](int64_t begin, int64_t end) {
      half::Widen(from, begin, end, to);
    });
    return Status::OK();
  }
  Status Prepare(OpKernelContext* context, Tensor* output) {
    return context->allocate_temp(tensorflow::DT_FLOAT, output->shape(), &floats_);
  }
  void Write(const Executor& executor, Tensor* tensor) const {
    const float* from = floats_.flat<float>().data();
    uint16_t* to = const_cast<uint16_t*>(Bits(tensor->flat<Eigen::half>().data()));
    executor.parallel_for(tensor->NumElements(), 1, [from, to](int64_t begin, int64_t end) {
      half::Narrow(from, begin, end, to);
    });
  }
  const float* data() const { return floats_.flat<float>().data(); }
  float* output() { return floats_.flat<float>().data(); }

 private:
  static const uint16_t* Bits(const Eigen::half* halves) {
    return reinterpret_cast<const uint16_t*>(halves);
  }

  Tensor floats_;
};

struct OnCpu {
  template <typename T>
  static Status Forward(OpKernelContext* context, const ForwardCall& call) {
    const Executor executor = ExecutorOf(context);
    Computed<T> x, y;
    TF_RETURN_IF_ERROR(x.Read(context, executor, call.x));
    TF_RETURN_IF_ERROR(y.Prepare(context, call.y));
    ash::Forward(x.data(), call.batch, call.size, ParametersOf<T>(call), executor, y.output(),
                 call.mean->flat<double>().data(), call.sigma->flat<double>().data());
    y.Write(executor, call.y);
    return Status::OK();
  }

  template <typename T>
  static Status Backward(OpKernelContext* context, const BackwardCall& call) {
    using P = typename ParameterOf<T>::type;
    const Executor executor = ExecutorOf(context);
    Computed<T> dy, x, dx;
    TF_RETURN_IF_ERROR(dy.Read(context, executor, call.dy));
    TF_RETURN_IF_ERROR(x.Read(context, executor, call.x));
    TF_RETURN_IF_ERROR(dx.Prepare(context, call.dx));
    double dz_k, dalpha;
    ash::Backward(dy.data(), x.data(), call.mean.flat<double>().data(),
                  call.sigma.flat<double>().data(), call.batch, call.size, ParametersOf<T>(call),
                  executor, dx.output(), &dz_k, &dalpha);
    dx.Write(executor, call.dx);
    call.dz_k->flat<P>()(0) = Narrow<P>(dz_k);
    call.dalpha->flat<P>()(0) = Narrow<P>(dalpha);
    return Status::OK();
  }

 private:
  template <typename T, typename Call>
  static Parameters ParametersOf(const Call& call) {
    using P = typename ParameterOf<T>::type;
    return {call.z_k.template flat<P>()(0), call.alpha.template flat<P>()(0), call.leak};
  }
};

ASH_REGISTER(OnCpu, tensorflow::DEVICE_CPU);

}  // namespace
}  // namespace ash
