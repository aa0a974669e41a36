// The inner loops: over one row of consecutive elements of one sample, by one thread.
#ifndef ASH_NATIVE_CPU_ROWS_H_
#define ASH_NATIVE_CPU_ROWS_H_

#include <cstdint>

namespace ash {

// What is fixed for a sample, in the precision T of the arithmetic.
template <typename T>
struct Gate {
  // The threshold mean + z_k * sigma in two parts: x - high is exact where x is near the threshold,
  // where it matters, and low is what high has been rounded by.
  T high, low;
  T slope;       // 2 * alpha
  T leak, pass;  // lambda and 1 - lambda
};

// What the backward pass takes off again for what x does to the statistics:
// tilt * (x - threshold) + offset.
template <typename T>
struct Pull {
  T tilt, offset;
};

// The loops that vectors run. T is float or double; sums are double.
template <typename T>
struct Rows {
  // sums = {sum d, sum d^2} of d = x - shift.
  void (*moments)(const T* x, int64_t n, T shift, double* sums);
  void (*forward)(const T* x, int64_t n, const Gate<T>& gate, T* y);
  // part = dy * (leak + pass * s) + 2 alpha pass * q, with s the gate and q = dy x s (1 - s);
  // sums = {sum q, sum q * (x - threshold)}. part may be dy.
  void (*backward)(const T* dy, const T* x, int64_t n, const Gate<T>& gate, T* part, double* sums);
  // dx -= tilt * (x - threshold) + offset.
  void (*finish)(const T* x, int64_t n, const Gate<T>& gate, const Pull<T>& pull, T* dx);
};

struct RowsTable {
  const char* name;
  Rows<float> of_float;
  Rows<double> of_double;
};

// One table for each instruction set that was compiled: rows.cc once each.
extern const RowsTable kRowsGeneric;
#ifdef ASH_X86
extern const RowsTable kRowsAvx;
extern const RowsTable kRowsAvx2;
extern const RowsTable kRowsAvx512;
#endif

template <typename T>
const Rows<T>& Of(const RowsTable& table);
template <>
inline const Rows<float>& Of(const RowsTable& table) { return table.of_float; }
template <>
inline const Rows<double>& Of(const RowsTable& table) { return table.of_double; }

}  // namespace ash

#endif  // ASH_NATIVE_CPU_ROWS_H_
