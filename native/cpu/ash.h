// ASH on the CPU, over raw pointers: no TensorFlow here.
//
//     ASH(x) = x * (leak + (1 - leak) * sigmoid(2 * alpha * (x - mean - z_k * sigma)))
//
// with mean and (population) standard deviation of each sample; docs/ash.md has the formula and its
// gradient. A tensor is `batch` samples of `size` elements each, in whatever layout, since every
// statistic is over the whole sample.
//
// Results are the same to the bit whatever runs the tasks, and in whatever order: sums are taken
// over chunks whose bounds depend on the size alone, and added up in the chunks' order.
#ifndef ASH_NATIVE_CPU_ASH_H_
#define ASH_NATIVE_CPU_ASH_H_

#include <cstdint>
#include <functional>

namespace ash {

struct Parameters {
  double z_k;
  double alpha;
  double leak;  // in [0, 1)
};

// Threads that share the work: calls task(begin, end) on ranges that cover [0, count) once, and
// returns when all are done. `cost` is about how many nanoseconds one item takes.
struct Executor {
  using Task = std::function<void(int64_t begin, int64_t end)>;
  int threads;
  std::function<void(int64_t count, int64_t cost, const Task&)> parallel_for;
};

// Computes y, and the statistics that Backward takes.
//   x, y: T [batch, size]; may be the same memory.
//   mean, sigma: [batch].
template <typename T>  // float or double
void Forward(const T* x, int64_t batch, int64_t size, const Parameters& parameters,
             const Executor& executor, T* y, double* mean, double* sigma);

// Computes the gradients of sum(dy * y). A constant sample's sigma is taken to have the slope 0.
//   dy, x, dx: T [batch, size]; dy and dx may be the same memory.
//   mean, sigma: [batch], as Forward gave them for this x.
//   dz_k, dalpha: one number each.
template <typename T>  // float or double
void Backward(const T* dy, const T* x, const double* mean, const double* sigma, int64_t batch,
              int64_t size, const Parameters& parameters, const Executor& executor, T* dx,
              double* dz_k, double* dalpha);

// The instruction set in use: "avx512", "avx2", "avx" or "generic". ASH_NATIVE_ISA chooses a
// narrower one than the machine has, for tests.
const char* InstructionSet();

}  // namespace ash

#endif  // ASH_NATIVE_CPU_ASH_H_
