// What the kernels of both devices check and read alike.
#ifndef ASH_NATIVE_TENSORFLOW_OP_ARGUMENTS_H_
#define ASH_NATIVE_TENSORFLOW_OP_ARGUMENTS_H_

#include <string>

#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/lib/strings/numbers.h"

namespace ash {

// The dtype of z_k and alpha beside an x of T.
template <typename T>
struct ParameterOf {
  using type = T;
};
template <>
struct ParameterOf<Eigen::half> {
  using type = float;
};

inline tensorflow::Status ReadLeak(tensorflow::OpKernelConstruction* context, double* leak) {
  std::string text;
  TF_RETURN_IF_ERROR(context->GetAttr("leak", &text));
  if (!tensorflow::strings::safe_strtod(text.c_str(), leak) || !(*leak >= 0 && *leak < 1)) {
    return tensorflow::errors::InvalidArgument("leak must be a number in [0, 1), got '", text, "'");
  }
  return tensorflow::Status::OK();
}

// Shapes that only a running graph knows: x and, for the backward op, what comes with it.
inline tensorflow::Status CheckShapes(const tensorflow::Tensor& x, const tensorflow::Tensor& z_k,
                                      const tensorflow::Tensor& alpha) {
  using tensorflow::errors::InvalidArgument;
  if (x.dims() < 2) {
    return InvalidArgument("ASH needs rank 2 or more, batch first; got shape ",
                           x.shape().DebugString());
  }
  if (z_k.NumElements() != 1 || alpha.NumElements() != 1) {
    return InvalidArgument("z_k and alpha must have one element each; got shapes ",
                           z_k.shape().DebugString(), " and ", alpha.shape().DebugString());
  }
  return tensorflow::Status::OK();
}

inline tensorflow::Status CheckGradientShapes(const tensorflow::Tensor& dy,
                                              const tensorflow::Tensor& x,
                                              const tensorflow::Tensor& mean,
                                              const tensorflow::Tensor& sigma) {
  using tensorflow::errors::InvalidArgument;
  if (dy.shape() != x.shape()) {
    return InvalidArgument("dy must have the shape of x, ", x.shape().DebugString(), "; got ",
                           dy.shape().DebugString());
  }
  if (mean.NumElements() != x.dim_size(0) || sigma.NumElements() != x.dim_size(0)) {
    return InvalidArgument("mean and sigma must have an element for each of ", x.dim_size(0),
                           " samples; got shapes ", mean.shape().DebugString(), " and ",
                           sigma.shape().DebugString());
  }
  return tensorflow::Status::OK();
}

// Elements of a sample of x [N, ...].
inline tensorflow::int64 SampleSize(const tensorflow::Tensor& x) {
  tensorflow::int64 size = 1;
  for (int i = 1; i < x.dims(); ++i) size *= x.dim_size(i);
  return size;
}

}  // namespace ash

#endif  // ASH_NATIVE_TENSORFLOW_OP_ARGUMENTS_H_
