// The loops of rows.h one element after the other and in a wider precision, for samples whose
// products may leave the range of their own: huge elements, infinities and NaN. Rare, and slow.
#ifndef ASH_NATIVE_CPU_WIDE_ROWS_H_
#define ASH_NATIVE_CPU_WIDE_ROWS_H_

#include <cmath>
#include <cstdint>
#include <limits>

#include "rows.h"

namespace ash {

template <typename T>
struct Wider;
template <>
struct Wider<float> {
  using type = double;
};
template <>
struct Wider<double> {
  using type = long double;
};
template <typename T>
using WideOf = typename Wider<T>::type;

namespace wide {

template <typename W>
struct Opened {
  W centred, s, slope;
};

template <typename W>
Opened<W> Open(const Gate<W>& gate, W x) {
  const W centred = (x - gate.high) - gate.low;
  const W u = centred * gate.slope;
  const W decay = std::exp(-std::abs(u));
  const W larger = 1 / (1 + decay);
  return {centred, (u > 0 ? W(1) : decay) * larger, decay * larger * larger};
}

template <typename T, typename W>
void Moments(const T* x, int64_t n, T shift, W* sums) {
  sums[0] = sums[1] = 0;
  for (int64_t i = 0; i < n; ++i) {
    const W d = W(x[i]) - W(shift);
    sums[0] += d;
    sums[1] += d * d;
  }
}

template <typename T, typename W>
void Forward(const T* x, int64_t n, const Gate<W>& gate, T* y) {
  for (int64_t i = 0; i < n; ++i) {
    const W s = Open<W>(gate, x[i]).s;
    y[i] = static_cast<T>(W(x[i]) * (gate.leak + gate.pass * s));
  }
}

template <typename T, typename W>
void BackwardSums(const T* dy, const T* x, int64_t n, const Gate<W>& gate, W* sums) {
  sums[0] = sums[1] = 0;
  for (int64_t i = 0; i < n; ++i) {
    const Opened<W> opened = Open<W>(gate, x[i]);
    const W q = W(dy[i]) * W(x[i]) * opened.slope;
    sums[0] += q;
    sums[1] += q * opened.centred;
  }
}

template <typename T, typename W>
void Finish(const T* dy, const T* x, int64_t n, const Gate<W>& gate, const Pull<W>& pull, T* dx) {
  const W largest = std::numeric_limits<T>::max();
  for (int64_t i = 0; i < n; ++i) {
    const Opened<W> opened = Open<W>(gate, x[i]);
    const W q = W(dy[i]) * W(x[i]) * opened.slope;
    const W value = W(dy[i]) * (gate.leak + gate.pass * opened.s) + gate.pass * gate.slope * q -
                    (pull.tilt * opened.centred + pull.offset);
    dx[i] = static_cast<T>(value > largest ? largest : value < -largest ? -largest : value);
  }
}

}  // namespace wide
}  // namespace ash

#endif  // ASH_NATIVE_CPU_WIDE_ROWS_H_
