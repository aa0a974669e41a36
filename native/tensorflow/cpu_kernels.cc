// The ops on the CPU: TensorFlow's tensors and threads around cpu/ash.h.
#include <algorithm>
#include <limits>

#include "cpu/ash.h"
#include "op_arguments.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/lib/core/threadpool.h"

namespace ash {
namespace {

using tensorflow::int64;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

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
  tensorflow::Status Read(OpKernelContext*, const Executor&, const Tensor& tensor) {
    data_ = tensor.flat<T>().data();
    return tensorflow::Status::OK();
  }
  tensorflow::Status Prepare(OpKernelContext*, Tensor* output) {
    output_ = output->flat<T>().data();
    return tensorflow::Status::OK();
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
  tensorflow::Status Read(OpKernelContext* context, const Executor& executor,
                          const Tensor& tensor) {
    TF_RETURN_IF_ERROR(context->allocate_temp(tensorflow::DT_FLOAT, tensor.shape(), &floats_));
    const Eigen::half* from = tensor.flat<Eigen::half>().data();
    float* to = floats_.flat<float>().data();
    executor.parallel_for(tensor.NumElements(), 1, [from, to](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] = static_cast<float>(from[i]);
    });
    return tensorflow::Status::OK();
  }
  tensorflow::Status Prepare(OpKernelContext* context, Tensor* output) {
    return context->allocate_temp(tensorflow::DT_FLOAT, output->shape(), &floats_);
  }
  void Write(const Executor& executor, Tensor* tensor) const {
    const float* from = floats_.flat<float>().data();
    Eigen::half* to = tensor->flat<Eigen::half>().data();
    executor.parallel_for(tensor->NumElements(), 1, [from, to](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] = Saturated(from[i]);
    });
  }
  const float* data() const { return floats_.flat<float>().data(); }
  float* output() { return floats_.flat<float>().data(); }

 private:
  static Eigen::half Saturated(float value) {
    constexpr float kLargest = 65504;
    const bool is_finite = std::isfinite(value);
    return Eigen::half(is_finite ? std::max(-kLargest, std::min(kLargest, value)) : value);
  }

  Tensor floats_;
};

template <typename T>
class AshForwardOp : public OpKernel {
 public:
  explicit AshForwardOp(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, ReadLeak(context, &leak_));
  }

  void Compute(OpKernelContext* context) override {
    using P = typename ParameterOf<T>::type;
    const Tensor &x = context->input(0), &z_k = context->input(1), &alpha = context->input(2);
    OP_REQUIRES_OK(context, CheckShapes(x, z_k, alpha));
    const int64 batch = x.dim_size(0), size = SampleSize(x);
    Tensor *y, *mean, *sigma;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({0}, 0, x.shape(), &y));
    OP_REQUIRES_OK(context, context->allocate_output(1, TensorShape({batch}), &mean));
    OP_REQUIRES_OK(context, context->allocate_output(2, TensorShape({batch}), &sigma));
    const Executor executor = ExecutorOf(context);
    Computed<T> from, to;
    OP_REQUIRES_OK(context, from.Read(context, executor, x));
    OP_REQUIRES_OK(context, to.Prepare(context, y));
    const Parameters parameters = {z_k.flat<P>()(0), alpha.flat<P>()(0), leak_};
    Forward(from.data(), batch, size, parameters, executor, to.output(),
            mean->flat<double>().data(), sigma->flat<double>().data());
    to.Write(executor, y);
  }

 private:
  double leak_;
};

template <typename T>
class AshBackwardOp : public OpKernel {
 public:
  explicit AshBackwardOp(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, ReadLeak(context, &leak_));
  }

  void Compute(OpKernelContext* context) override {
    using P = typename ParameterOf<T>::type;
    const Tensor &dy = context->input(0), &x = context->input(1), &z_k = context->input(2),
                 &alpha = context->input(3), &mean = context->input(4), &sigma = context->input(5);
    OP_REQUIRES_OK(context, CheckShapes(x, z_k, alpha));
    OP_REQUIRES_OK(context, CheckGradientShapes(dy, x, mean, sigma));
    Tensor *dx, *dz_k, *dalpha;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({0}, 0, x.shape(), &dx));
    OP_REQUIRES_OK(context, context->allocate_output(1, z_k.shape(), &dz_k));
    OP_REQUIRES_OK(context, context->allocate_output(2, alpha.shape(), &dalpha));
    const Executor executor = ExecutorOf(context);
    Computed<T> upstream, input, result;
    OP_REQUIRES_OK(context, upstream.Read(context, executor, dy));
    OP_REQUIRES_OK(context, input.Read(context, executor, x));
    OP_REQUIRES_OK(context, result.Prepare(context, dx));
    const Parameters parameters = {z_k.flat<P>()(0), alpha.flat<P>()(0), leak_};
    double of_z_k, of_alpha;
    Backward(upstream.data(), input.data(), mean.flat<double>().data(),
             sigma.flat<double>().data(), x.dim_size(0), SampleSize(x), parameters, executor,
             result.output(), &of_z_k, &of_alpha);
    result.Write(executor, dx);
    dz_k->flat<P>()(0) = Narrow<P>(of_z_k);
    dalpha->flat<P>()(0) = Narrow<P>(of_alpha);
  }

 private:
  double leak_;
};

#define ASH_REGISTER(T)                                                                     \
  REGISTER_KERNEL_BUILDER(Name("AshForward")                                                \
                              .Device(tensorflow::DEVICE_CPU)                               \
                              .TypeConstraint<T>("T")                                       \
                              .TypeConstraint<ParameterOf<T>::type>("P"),                   \
                          AshForwardOp<T>);                                                 \
  REGISTER_KERNEL_BUILDER(Name("AshBackward")                                               \
                              .Device(tensorflow::DEVICE_CPU)                               \
                              .TypeConstraint<T>("T")                                       \
                              .TypeConstraint<ParameterOf<T>::type>("P"),                   \
                          AshBackwardOp<T>)
ASH_REGISTER(Eigen::half);
ASH_REGISTER(float);
ASH_REGISTER(double);
#undef ASH_REGISTER

}  // namespace
}  // namespace ash
