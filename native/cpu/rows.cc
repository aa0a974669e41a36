// The inner loops as vectors. Compiled once for each instruction set, which the compiler's flags
// say, with ASH_TABLE as the name of the table. Everything but that table has internal linkage: a
// function that two of the compilations shared could end up with instructions the machine has not.
#include "rows.h"

#include <cstring>

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

// ---- exp --------------------------------------------------------------------------------------

template <typename T>
struct ExpTraits;
template <>
struct ExpTraits<float> {
  using Bits = uint32_t;
  static constexpr int kMantissa = 23, kDegree = 6, kScale = 64;  // 1.2e-7 of the result
  static constexpr float kLeast = 110;                            // exp(-kLeast) is 0
  static constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
};
template <>
struct ExpTraits<double> {
  using Bits = uint64_t;
  static constexpr int kMantissa = 52, kDegree = 13, kScale = 128;  // 4e-18
  static constexpr double kLeast = 760;
  static constexpr double kLn2High = 0.693145751953125, kLn2Low = 1.42860682030941723212e-6;
};

template <typename T>
constexpr T InverseFactorial(int n) {
  return n == 0 ? T(1) : InverseFactorial<T>(n - 1) / T(n);
}

// 2^exponent, exactly, for an exponent that is a normal number's.
template <typename T>
constexpr T PowerOfTwo(int exponent) {
  return exponent == 0  ? T(1)
         : exponent > 0 ? T(2) * PowerOfTwo<T>(exponent - 1)
                        : PowerOfTwo<T>(exponent + 1) / T(2);
}

// exp(-a) for a >= 0; 0 where it underflows.
template <typename T>
inline Vector<T> ExpOfMinus(Vector<T> a) {
  using Traits = ExpTraits<T>;
  typedef typename VectorOf<typename Traits::Bits>::type Bits;
  const Vector<T> least = Vector<T>{} + Traits::kLeast;
  a = a > least ? least : a;
  // Adding 1.5 * 2^mantissa rounds to a whole number, which then stands in the lowest bits.
  const T magic = T(1.5) * PowerOfTwo<T>(Traits::kMantissa);
  const Vector<T> shifted = a * T(-1.44269504088896340736) + magic;
  const Vector<T> exponent = shifted - magic;
  const Vector<T> r = (-a - exponent * Traits::kLn2High) - exponent * Traits::kLn2Low;
  Vector<T> power = Vector<T>{} + InverseFactorial<T>(Traits::kDegree);
#pragma GCC unroll 16
  for (int k = Traits::kDegree - 1; k >= 0; --k) power = power * r + InverseFactorial<T>(k);
  // Times 2^exponent by adding to the bits of the exponent, which is kept from underflowing there
  // by a factor that is taken off in the end.
  const Bits bits = (Bits)power + (((Bits)shifted + Traits::kScale) << Traits::kMantissa);
  return (Vector<T>)bits * PowerOfTwo<T>(-Traits::kScale);
}

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
  const Vector<T> decay = ExpOfMinus<T>((Vector<T>)((Bits)u & ~sign));
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

template <typename T>
void ForwardRow(const T* x, int64_t n, const Gate<T>& given, T* y) {
  const Gate<T> gate = given;
  const auto compute = [&gate](const Vector<T>& v) {
    return v * (gate.leak + gate.pass * Open(gate, v).s);
  };
  ForVectors<T>(
      n, [&](int64_t i) { Store(y + i, compute(Load<Vector<T>>(x + i))); },
      [&](int64_t i, int64_t count) {
        StoreFirst<T>(y + i, count, compute(Padded<T>(x + i, count, T(0)).vector()));
      });
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
