/* ASH on the GPU, over raw device pointers and a stream: a C interface, with no TensorFlow in it,
 * so that ash.cu builds with CUDA 10 to 13 and can be tested alone.
 *
 * A tensor is `batch` samples of `size` elements each. Statistics are double, sums are taken in an
 * order that depends on the shape alone: the same input gives the same bits.
 */
#ifndef ASH_NATIVE_CUDA_ASH_H_
#define ASH_NATIVE_CUDA_ASH_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The dtype of x, y, dy and dx. z_k, alpha and their gradients are float beside half. */
enum AshDtype { ASH_HALF = 0, ASH_FLOAT = 1, ASH_DOUBLE = 2 };

/* Bytes of device memory that a call needs as its workspace, for the time it runs. */
size_t ash_cuda_workspace_bytes(int64_t batch, int64_t size);

/* Queues y = ASH(x) on a stream.
 *
 *   x, y: [batch, size]; may be the same memory.
 *   z_k, alpha: one element each, on the device.
 *   leak: in [0, 1).
 *   mean, sigma: double [batch], of each sample; written.
 *   stream: a cudaStream_t.
 *
 * Returns 0, or the cudaError_t of what could not be queued.
 */
int ash_cuda_forward(enum AshDtype dtype, const void* x, int64_t batch, int64_t size,
                     const void* z_k, const void* alpha, double leak, void* y, double* mean,
                     double* sigma, void* workspace, void* stream);

/* Queues the gradients of sum(dy * y) on a stream.
 *
 *   dy, x, dx: [batch, size]; dy and dx may be the same memory.
 *   mean, sigma: as ash_cuda_forward gave them.
 *   dz_k, dalpha: one element each, on the device; written.
 *
 * Returns as ash_cuda_forward does.
 */
int ash_cuda_backward(enum AshDtype dtype, const void* dy, const void* x, const double* mean,
                      const double* sigma, int64_t batch, int64_t size, const void* z_k,
                      const void* alpha, double leak, void* dx, void* dz_k, void* dalpha,
                      void* workspace, void* stream);

/* What an error means. */
const char* ash_cuda_error_string(int error);

#ifdef __cplusplus
}
#endif

#endif  /* ASH_NATIVE_CUDA_ASH_H_ */
