// The two ops, as TensorFlow knows them; what they compute is in docs/ash.md.
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace ash {
namespace {

using tensorflow::Status;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// z_k and alpha: one element each, of any rank.
Status CheckParameters(InferenceContext* c, int first) {
  for (int i = first; i < first + 2; ++i) {
    const DimensionHandle elements = c->NumElements(c->input(i));
    DimensionHandle one;
    TF_RETURN_IF_ERROR(c->WithValue(elements, 1, &one));
  }
  return Status::OK();
}

}  // namespace

REGISTER_OP("AshForward")
    .Input("x: T")
    .Input("z_k: P")
    .Input("alpha: P")
    .Output("y: T")
    .Output("mean: double")
    .Output("sigma: double")
    .Attr("T: {half, float, double}")
    .Attr("P: {float, double}")
    .Attr("leak: string = '0'")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle x;
      TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(0), 2, &x));
      TF_RETURN_IF_ERROR(CheckParameters(c, 1));
      c->set_output(0, x);
      c->set_output(1, c->Vector(c->Dim(x, 0)));
      c->set_output(2, c->Vector(c->Dim(x, 0)));
      return Status::OK();
    })
    .Doc(R"doc(
x * (leak + (1 - leak) * sigmoid(2 * alpha * (x - mean - z_k * sigma))), mean and sigma of each
sample.

x: [N, ...], rank 2 or more, in any layout.
z_k: one element; float for a half x, else x's dtype.
alpha: likewise.
y: x's shape.
mean: [N].
sigma: [N], the population standard deviation.
leak: a number in [0, 1), as text: an attribute of type float would be of single precision.
)doc");

REGISTER_OP("AshBackward")
    .Input("dy: T")
    .Input("x: T")
    .Input("z_k: P")
    .Input("alpha: P")
    .Input("mean: double")
    .Input("sigma: double")
    .Output("dx: T")
    .Output("dz_k: P")
    .Output("dalpha: P")
    .Attr("T: {half, float, double}")
    .Attr("P: {float, double}")
    .Attr("leak: string = '0'")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle x;
      TF_RETURN_IF_ERROR(c->Merge(c->input(0), c->input(1), &x));
      TF_RETURN_IF_ERROR(c->WithRankAtLeast(x, 2, &x));
      TF_RETURN_IF_ERROR(CheckParameters(c, 2));
      c->set_output(0, x);
      c->set_output(1, c->input(2));
      c->set_output(2, c->input(3));
      return Status::OK();
    })
    .Doc(R"doc(
The gradients of sum(dy * y) for x, z_k and alpha, where y, mean and sigma are AshForward's.

dx: x's shape; finite wherever dy and x are.
dz_k: z_k's shape.
dalpha: alpha's shape.
)doc");

}  // namespace ash
