#include "ash.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include "rows.h"
#include "wide_rows.h"

namespace ash {
namespace {

// Elements of a chunk: what is summed before the sums are added up. 32 KiB of float32, so that a
// sample of several chunks has work for several threads.
constexpr int64_t kChunk = 8192;
// Nanoseconds that an element takes in the longest of the loops, about.
constexpr double kCost = 0.2;

const RowsTable& ChooseTable() {
#ifdef ASH_X86
  const char* limit = std::getenv("ASH_NATIVE_ISA");
  const auto allowed = [limit](const char* name) {
    return limit == nullptr || std::strcmp(limit, name) == 0;
  };
  __builtin_cpu_init();
  if (allowed("avx512") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    return kRowsAvx512;
  }
  if (allowed("avx2") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return kRowsAvx2;
  }
  if (allowed("avx") && __builtin_cpu_supports("avx")) return kRowsAvx;
#endif
  return kRowsGeneric;
}

const RowsTable& Table() {
  static const RowsTable& table = ChooseTable();
  return table;
}

// Casts to T, saturating instead of overflowing; NaN stays.
template <typename T, typename W>
T Narrow(W value) {
  const W largest = std::numeric_limits<T>::max();
  return static_cast<T>(value > largest ? largest : value < -largest ? -largest : value);
}

// Two sums, of a chunk or of a sample.
template <typename W>
struct Sums {
  W first, second;
  void operator+=(const Sums& other) {
    first += other.first;
    second += other.second;
  }
};

// One sample's gate in both precisions, and which of them its size asks for.
template <typename T>
class SampleGate {
 public:
  using W = WideOf<T>;

  SampleGate(double mean, double sigma, int64_t size, const Parameters& p) {
    const W threshold = W(mean) + W(p.z_k) * W(sigma);
    wide = {threshold, 0, 2 * W(p.alpha), W(p.leak), 1 - W(p.leak)};
    narrow.high = Narrow<T>(threshold);
    narrow.low = Narrow<T>(threshold - W(narrow.high));
    narrow.slope = Narrow<T>(wide.slope);
    narrow.leak = static_cast<T>(p.leak);
    narrow.pass = static_cast<T>(1 - p.leak);
    // No element is further than sqrt(size) * sigma from the mean. Where even products of three of
    // the like cannot leave T's range, nothing does. Not the other way round: NaN has to fail.
    const double largest =
        std::abs(mean) + (std::sqrt(double(size)) + std::abs(p.z_k)) * sigma;
    is_tame = largest < kTame<T>() && std::isfinite(p.alpha);
  }

  Gate<T> narrow;
  Gate<W> wide;
  bool is_tame;

 private:
  template <typename U>
  static constexpr double kTame() { return sizeof(U) == sizeof(float) ? 1e12 : 1e100; }
};

// A pass over a tensor by threads: whole samples a task, one phase after the other while the sample
// is in the cache; or, where samples are few and large, one phase over the chunks of all samples
// before the next. Chunks and sums are the same either way.
class Passes {
 public:
  Passes(int64_t batch, int64_t size, const Executor& executor)
      : batch_(batch), size_(size), chunks_((size + kChunk - 1) / kChunk), executor_(executor) {}

  // sum(sample, begin, end) -> Sums of a range of the sample's elements;
  // settle(sample, Sums of the sample); map(sample, begin, end).
  template <typename W, typename Sum, typename Settle, typename Map>
  void Run(const Sum& sum, const Settle& settle, const Map& map) const {
    if (batch_ >= 4 * executor_.threads || chunks_ == 1) {
      executor_.parallel_for(batch_, Cost(size_), [&](int64_t begin, int64_t end) {
        for (int64_t sample = begin; sample < end; ++sample) {
          Sums<W> sums{};
          ForChunks([&](int64_t from, int64_t to) { sums += sum(sample, from, to); });
          settle(sample, sums);
          ForChunks([&](int64_t from, int64_t to) { map(sample, from, to); });
        }
      });
      return;
    }
    std::vector<Sums<W>> sums(batch_ * chunks_);
    OverAllChunks([&](int64_t chunk, int64_t sample, int64_t from, int64_t to) {
      sums[chunk] = sum(sample, from, to);
    });
    for (int64_t sample = 0; sample < batch_; ++sample) {
      Sums<W> total{};
      for (int64_t i = 0; i < chunks_; ++i) total += sums[sample * chunks_ + i];
      settle(sample, total);
    }
    OverAllChunks([&](int64_t, int64_t sample, int64_t from, int64_t to) {
      map(sample, from, to);
    });
  }

 private:
  static int64_t Cost(int64_t elements) {
    return std::max<int64_t>(1, static_cast<int64_t>(elements * kCost));
  }

  template <typename Function>
  void ForChunks(const Function& function) const {
    for (int64_t from = 0; from < size_; from += kChunk) {
      function(from, std::min(size_, from + kChunk));
    }
  }

  template <typename Function>
  void OverAllChunks(const Function& function) const {
    executor_.parallel_for(batch_ * chunks_, Cost(kChunk), [&](int64_t begin, int64_t end) {
      for (int64_t chunk = begin; chunk < end; ++chunk) {
        const int64_t from = chunk % chunks_ * kChunk;
        function(chunk, chunk / chunks_, from, std::min(size_, from + kChunk));
      }
    });
  }

  const int64_t batch_, size_, chunks_;
  const Executor& executor_;
};

}  // namespace

template <typename T>
void Forward(const T* x, int64_t batch, int64_t size, const Parameters& parameters,
             const Executor& executor, T* y, double* mean, double* sigma) {
  using W = WideOf<T>;
  if (size == 0) {
    std::fill(mean, mean + batch, 0.0);
    std::fill(sigma, sigma + batch, 0.0);
    return;
  }
  const Rows<T>& rows = Of<T>(Table());
  Passes(batch, size, executor).template Run<W>(
      [&](int64_t sample, int64_t from, int64_t to) {
        // Deviations from an element of the sample: a constant one has none at all, and no element
        // is so far from the mean that the difference below loses more than the rounding of `size`
        // additions.
        const T* row = x + sample * size;
        double sums[2];
        rows.moments(row + from, to - from, row[0], sums);
        if (std::isfinite(sums[1])) return Sums<W>{W(sums[0]), W(sums[1])};
        W wide_sums[2];
        wide::Moments(row + from, to - from, row[0], wide_sums);
        return Sums<W>{wide_sums[0], wide_sums[1]};
      },
      [&](int64_t sample, const Sums<W>& sums) {
        const W shifted = sums.first / size;
        const W variance = sums.second / size - shifted * shifted;
        mean[sample] = Narrow<double>(W(x[sample * size]) + shifted);
        sigma[sample] = variance <= 0 ? 0 : Narrow<double>(std::sqrt(variance));  // NaN stays
      },
      [&](int64_t sample, int64_t from, int64_t to) {
        const SampleGate<T> gate(mean[sample], sigma[sample], size, parameters);
        const int64_t at = sample * size + from;
        if (gate.is_tame) {
          rows.forward(x + at, to - from, gate.narrow, y + at);
        } else {
          wide::Forward(x + at, to - from, gate.wide, y + at);
        }
      });
}

template <typename T>
void Backward(const T* dy, const T* x, const double* mean, const double* sigma, int64_t batch,
              int64_t size, const Parameters& parameters, const Executor& executor, T* dx,
              double* dz_k, double* dalpha) {
  using W = WideOf<T>;
  const Rows<T>& rows = Of<T>(Table());
  std::vector<Sums<W>> totals(batch);
  std::vector<Pull<W>> pulls(batch);
  Passes(batch, size, executor).template Run<W>(
      [&](int64_t sample, int64_t from, int64_t to) {
        const SampleGate<T> gate(mean[sample], sigma[sample], size, parameters);
        const int64_t at = sample * size + from;
        if (gate.is_tame) {
          double sums[2];
          rows.backward(dy + at, x + at, to - from, gate.narrow, dx + at, sums);
          return Sums<W>{W(sums[0]), W(sums[1])};
        }
        // Leaves dx, which may be dy, for the second pass.
        W sums[2];
        wide::BackwardSums(dy + at, x + at, to - from, gate.wide, sums);
        return Sums<W>{sums[0], sums[1]};
      },
      [&](int64_t sample, const Sums<W>& sums) {
        // d loss / d threshold is -size * pull; the threshold is mean + z_k * sigma, and
        // d sigma / d x is (x - mean) / (size * sigma), 0 where the sample is constant.
        totals[sample] = sums;
        const W scale = 2 * W(parameters.alpha) * (1 - W(parameters.leak));
        const W pull = scale * sums.first / size;
        const W z_k = parameters.z_k;
        const bool varies = !(sigma[sample] == 0);
        const W tilt = varies ? z_k * pull / W(sigma[sample]) : 0;
        // x - mean is (x - threshold) + z_k * sigma.
        pulls[sample] = {tilt, varies ? pull + z_k * z_k * pull : pull};
      },
      [&](int64_t sample, int64_t from, int64_t to) {
        const SampleGate<T> gate(mean[sample], sigma[sample], size, parameters);
        const int64_t at = sample * size + from;
        if (gate.is_tame) {
          const Pull<T> pull = {Narrow<T>(pulls[sample].tilt), Narrow<T>(pulls[sample].offset)};
          rows.finish(x + at, to - from, gate.narrow, pull, dx + at);
        } else {
          wide::Finish(dy + at, x + at, to - from, gate.wide, pulls[sample], dx + at);
        }
      });
  W z_k_total = 0, alpha_total = 0;
  for (int64_t sample = 0; sample < batch; ++sample) {
    z_k_total -= W(sigma[sample]) * totals[sample].first;
    alpha_total += totals[sample].second;
  }
  const W scale = 2 * (1 - W(parameters.leak));
  *dz_k = Narrow<double>(scale * W(parameters.alpha) * z_k_total);
  *dalpha = Narrow<double>(scale * alpha_total);
}

template void Forward(const float*, int64_t, int64_t, const Parameters&, const Executor&, float*,
                      double*, double*);
template void Forward(const double*, int64_t, int64_t, const Parameters&, const Executor&, double*,
                      double*, double*);
template void Backward(const float*, const float*, const double*, const double*, int64_t, int64_t,
                       const Parameters&, const Executor&, float*, double*, double*);
template void Backward(const double*, const double*, const double*, const double*, int64_t, int64_t,
                       const Parameters&, const Executor&, double*, double*, double*);

const char* InstructionSet() { return Table().name; }

}  // namespace ash
