// The inner loops as vectors. Compiled once for each instruction set, which the compiler's flags
// say, with ASH_TABLE as the name of the table. Everything but that table has internal linkage: a
// function that two of the compilations shared could end up with instructions the machine has not.
#include "rows.h"

#include <cstring>

#ifdef __AVX__
#include <immintrin.h>
#endif

namespace ash {
namespace {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif

// Vectors of the compiler's own: + - * / and ?: on them are element by element.
template <typename T, int bytes = kBytes>
struct VectorOf {
  typedef T type __attribute__((vector_size(bytes)));
};
template <typename T>
using Vector = typename VectorOf<T>::type;

template <typename T>
constexpr int Lanes() { return kBytes / static_cast<int>(sizeof(T)); }

template <typename V, typename T>
inline V Load(const T* from) {
  V v;
  std::memcpy(&v, from, sizeof(V));
  return v;
}

template <typename V, typename T>
inline void Store(T* to, const V& v) { std::memcpy(to, &v, sizeof(V)); }

// ---- wider sums -------------------------------------------------------------------------------

using Wide = Vector<double>;
constexpr int kWide = Lanes<double>();

inline Wide Widen(const double* x) { return Load<Wide>(x); }

inline Wide Widen(const float* x) {
  typedef VectorOf<float, kBytes / 2>::type Narrow;
  const Narrow narrow = Load<Narrow>(x);
#if defined(__clang__) || __GNUC__ >= 9
  return __builtin_convertvector(narrow, Wide);
#else
  Wide wide;
  for (int i = 0; i < kWide; ++i) wide[i] = narrow[i];
  return wide;
#endif
}

// A sum of vectors of T, kept as double.
template <typename T>
struct WideSum {
  static constexpr int kParts = Lanes<T>() / kWide;
  Wide parts[kParts] = {};

  void Add(const Vector<T>& v) {
    T lanes[Lanes<T>()];
    Store(lanes, v);
    for (int i = 0; i < kParts; ++i) parts[i] += Widen(lanes + i * kWide);
  }

  double Total() const {
    double total = 0;
    for (const Wide& part : parts) {
      for (int i = 0; i < kWide; ++i) total += part[i];
    }
    return total;
  }
};

// ---- 2^t --------------------------------------------------------------------------------------

template <typename T>
struct ExpTraits;
template <>
struct ExpTraits<float> {
  using Bits = uint32_t;
  static constexpr int kMantissa = 23, kMost = 126;  // the largest exponent that is surely normal
};
template <>
struct ExpTraits<double> {
  using Bits = uint64_t;
  static constexpr int kMantissa = 52, kMost = 1022;
};

template <typename T>
constexpr T kLog2OfE = T(1.44269504088896340736);

// 2^r for |r| <= 1/2: the minimax polynomial of its degree, within 2e-7 of the result as rounded.
inline Vector<float> SmallPower(const Vector<float>& r) {
  Vector<float> power = r * 1.32764725e-3f + 9.67554096e-3f;
  power = power * r + 5.55071309e-2f;
  power = power * r + 2.40221202e-1f;
  power = power * r + 6.93146944e-1f;
  return power * r + 1.00000012f;
}

// ln(2)^n / n!
constexpr double TaylorTerm(int n) {
  return n == 0 ? 1.0 : TaylorTerm(n - 1) * 0.693147180559945309417 / n;
}

inline Vector<double> SmallPower(const Vector<double>& r) {
  constexpr int kDegree = 13;  // 4e-18
  Vector<double> power = Vector<double>{} + TaylorTerm(kDegree);
#pragma GCC unroll 16
  for (int k = kDegree - 1; k >= 0; --k) power = power * r + TaylorTerm(k);
  return power;
}

#ifdef __AVX512F__

// With a mask of all lanes: GCC 12 warns of what its own header leaves unset without one.
inline Vector<float> Round(const Vector<float>& t) {
  return (Vector<float>)_mm512_maskz_roundscale_ps(0xffff, (__m512)t, _MM_FROUND_NO_EXC);
}
inline Vector<double> Round(const Vector<double>& t) {
  return (Vector<double>)_mm512_maskz_roundscale_pd(0xff, (__m512d)t, _MM_FROUND_NO_EXC);
}
inline Vector<float> Scale(const Vector<float>& power, const Vector<float>& exponent) {
  return (Vector<float>)_mm512_maskz_scalef_ps(0xffff, (__m512)power, (__m512)exponent);
}
inline Vector<double> Scale(const Vector<double>& power, const Vector<double>& exponent) {
  return (Vector<double>)_mm512_maskz_scalef_pd(0xff, (__m512d)power, (__m512d)exponent);
}

// 2^t; 0 and infinity beyond the range.
template <typename T>
inline Vector<T> Power(const Vector<T>& t) {
  const Vector<T> exponent = Round(t);
  return Scale(SmallPower(t - exponent), exponent);
}

#else

#ifdef __AVX__
// Not by ?:, of which the compiler makes two instructions. NaN stays: it is the second operand.
inline Vector<float> Within(const Vector<float>& t, float most) {
  const __m256 upper = _mm256_set1_ps(most), lower = _mm256_set1_ps(-most);
  return (Vector<float>)_mm256_max_ps(lower, _mm256_min_ps(upper, (__m256)t));
}
inline Vector<double> Within(const Vector<double>& t, double most) {
  const __m256d upper = _mm256_set1_pd(most), lower = _mm256_set1_pd(-most);
  return (Vector<double>)_mm256_max_pd(lower, _mm256_min_pd(upper, (__m256d)t));
}
#else
template <typename V, typename T>
inline V Within(V t, T most) {
  const V upper = V{} + most, lower = V{} - most;
  t = t > upper ? upper : t;
  return t < lower ? lower : t;
}
#endif

// 2^t; the least and the greatest power with an exponent of +-kMost beyond that.
template <typename T>
inline Vector<T> Power(Vector<T> t) {
  using Traits = ExpTraits<T>;
  typedef typename VectorOf<typename Traits::Bits>::type Bits;
  t = Within(t, T(Traits::kMost));
  // Adding 1.5 * 2^mantissa rounds to a whole number, which then stands in the lowest bits.
  constexpr T kMagic = T(typename Traits::Bits(3) << (Traits::kMantissa - 1));
  const Vector<T> shifted = t + kMagic;
  const Vector<T> power = SmallPower(t - (shifted - kMagic));
  return (Vector<T>)((Bits)power + ((Bits)shifted << Traits::kMantissa));
}

#endif

// ---- the gate ---------------------------------------------------------------------------------

template <typename T>
struct Opened {
  Vector<T> centred;  // x - threshold
  Vector<T> s;        // sigmoid(2 alpha (x - threshold))
  Vector<T> slope;    // s (1 - s), without a difference that would lose digits
};

template <typename T>
inline Opened<T> Open(const Gate<T>& gate, const Vector<T>& x) {
  typedef typename VectorOf<typename ExpTraits<T>::Bits>::type Bits;
  Opened<T> opened;
  opened.centred = (x - gate.high) - gate.low;
  const Vector<T> u = opened.centred * gate.slope;
  const Bits sign = Bits{} + (typename ExpTraits<T>::Bits(1) << (8 * sizeof(T) - 1));
  const Vector<T> decay = Power<T>((Vector<T>)((Bits)u | sign) * kLog2OfE<T>);
  const Vector<T> larger = T(1) / (T(1) + decay);
  const Vector<T> one = Vector<T>{} + T(1);
  opened.s = (u > Vector<T>{} ? one : decay) * larger;
  opened.slope = decay * (larger * larger);
  return opened;
}

// Calls step(i, v) for each whole vector and rest(i, n) for the elements after them, if any.
template <typename T, typename Step, typename Rest>
inline void ForVectors(int64_t n, const Step& step, const Rest& rest) {
  int64_t i = 0;
  for (; i + Lanes<T>() <= n; i += Lanes<T>()) step(i);
  if (i < n) rest(i, n - i);
}

// The elements after the last whole vector as a vector that begins with them.
template <typename T>
struct Padded {
  T lanes[Lanes<T>()];
  Padded(const T* from, int64_t count, T padding) {
    for (int i = 0; i < Lanes<T>(); ++i) lanes[i] = i < count ? from[i] : padding;
  }
  Vector<T> vector() const { return Load<Vector<T>>(lanes); }
};

template <typename T>
inline void StoreFirst(T* to, int64_t count, const Vector<T>& v) {
  T lanes[Lanes<T>()];
  Store(lanes, v);
  std::memcpy(to, lanes, count * sizeof(T));
}

// ---- the loops --------------------------------------------------------------------------------

template <typename T>
void Moments(const T* x, int64_t n, T shift, double* sums) {
  constexpr int kAhead = 4;  // sums that do not wait for one another
  const double wide_shift = shift;
  Wide sum[kAhead] = {}, square[kAhead] = {};
  int64_t i = 0;
  for (; i + kAhead * kWide <= n; i += kAhead * kWide) {
#pragma GCC unroll 4
    for (int k = 0; k < kAhead; ++k) {
      const Wide d = Widen(x + i + k * kWide) - wide_shift;
      sum[k] += d;
      square[k] += d * d;
    }
  }
  double total = 0, total_square = 0;
  for (int k = 0; k < kAhead; ++k) {
    for (int lane = 0; lane < kWide; ++lane) {
      total += sum[k][lane];
      total_square += square[k][lane];
    }
  }
  for (; i < n; ++i) {
    const double d = static_cast<double>(x[i]) - wide_shift;
    total += d;
    total_square += d * d;
  }
  sums[0] = total;
  sums[1] = total_square;
}

template <bool leaky, typename T>
void ForwardRowAs(const T* x, int64_t n, const Gate<T>& given, T* y) {
  const Gate<T> gate = given;
  const T slope = gate.slope * -kLog2OfE<T>;
  const auto compute = [&gate, slope](const Vector<T>& v) {
    const Vector<T> s = T(1) / (T(1) + Power<T>(((v - gate.high) - gate.low) * slope));
    return leaky ? v * (gate.leak + gate.pass * s) : v * s;
  };
  ForVectors<T>(
      n, [&](int64_t i) { Store(y + i, compute(Load<Vector<T>>(x + i))); },
      [&](int64_t i, int64_t count) {
        StoreFirst<T>(y + i, count, compute(Padded<T>(x + i, count, T(0)).vector()));
      });
}

template <typename T>
void ForwardRow(const T* x, int64_t n, const Gate<T>& gate, T* y) {
  (gate.leak == 0 ? ForwardRowAs<false, T> : ForwardRowAs<true, T>)(x, n, gate, y);
}

template <typename T>
void BackwardRow(const T* dy, const T* x, int64_t n, const Gate<T>& given, T* part, double* sums) {
  // So many vectors are summed in T before they go to double: few enough to lose nothing.
  constexpr int kRun = 8;
  const Gate<T> gate = given;
  const T scale = gate.pass * gate.slope;
  WideSum<T> sum, lever_sum;
  Vector<T> run = {}, lever_run = {};
  const auto compute = [&](const Vector<T>& g, const Vector<T>& v) {
    const Opened<T> opened = Open(gate, v);
    const Vector<T> q = g * (v * opened.slope);
    run += q;
    lever_run += q * opened.centred;
    return g * (gate.leak + gate.pass * opened.s) + scale * q;
  };
  const auto flush = [&]() {
    sum.Add(run);
    lever_sum.Add(lever_run);
    run = lever_run = Vector<T>{};
  };
  int64_t i = 0;
  for (; i + kRun * Lanes<T>() <= n; i += kRun * Lanes<T>()) {
    for (int k = 0; k < kRun; ++k) {
      const int64_t at = i + k * Lanes<T>();
      Store(part + at, compute(Load<Vector<T>>(dy + at), Load<Vector<T>>(x + at)));
    }
    flush();
  }
  ForVectors<T>(
      n - i,
      [&](int64_t k) {
        Store(part + i + k, compute(Load<Vector<T>>(dy + i + k), Load<Vector<T>>(x + i + k)));
      },
      [&](int64_t k, int64_t count) {
        // A dy of 0 adds nothing to the sums.
        const Padded<T> g(dy + i + k, count, T(0)), v(x + i + k, count, gate.high);
        StoreFirst<T>(part + i + k, count, compute(g.vector(), v.vector()));
      });
  flush();
  sums[0] = sum.Total();
  sums[1] = lever_sum.Total();
}

template <typename T>
void FinishRow(const T* x, int64_t n, const Gate<T>& given, const Pull<T>& pull_given, T* dx) {
  const Gate<T> gate = given;
  const Pull<T> pull = pull_given;
  const auto compute = [&](const Vector<T>& part, const Vector<T>& v) {
    return part - (pull.tilt * ((v - gate.high) - gate.low) + pull.offset);
  };
  ForVectors<T>(
      n,
      [&](int64_t i) {
        Store(dx + i, compute(Load<Vector<T>>(dx + i), Load<Vector<T>>(x + i)));
      },
      [&](int64_t i, int64_t count) {
        const Padded<T> part(dx + i, count, T(0)), v(x + i, count, T(0));
        StoreFirst<T>(dx + i, count, compute(part.vector(), v.vector()));
      });
}

template <typename T>
constexpr Rows<T> MakeRows() {
  return {Moments<T>, ForwardRow<T>, BackwardRow<T>, FinishRow<T>};
}

}  // namespace

extern const RowsTable ASH_TABLE = {ASH_TABLE_NAME, MakeRows<float>(), MakeRows<double>()};

}  // namespace ash
