// Holds the CPU kernels against the formula in long double, alone, without TensorFlow:
//
//     check [CASES [SEED]]
//
// random sizes, scales and parameters; every buffer exactly as large as it must be, so that an
// address sanitizer sees a step beyond; and the same bits from any number of threads. Exits with 1
// and a line for each case that is wrong.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "../cpu/ash.h"

namespace {

using Real = long double;

// Threads of their own for each call, which take the items in blocks from the end: any order will
// do.
ash::Executor Threads(int threads) {
  return {threads, [threads](int64_t count, int64_t, const ash::Executor::Task& task) {
            std::vector<std::thread> running;
            for (int i = threads - 1; i >= 0; --i) {
              const int64_t begin = count * i / threads, end = count * (i + 1) / threads;
              if (begin < end) running.emplace_back([&task, begin, end] { task(begin, end); });
            }
            for (std::thread& thread : running) thread.join();
          }};
}

struct Case {
  int64_t batch, size;
  ash::Parameters parameters;
  std::string kind;
  bool in_place;
};

template <typename T>
struct Result {
  std::vector<T> y, dx;
  std::vector<double> mean, sigma;
  double dz_k = 0, dalpha = 0;

  bool operator==(const Result& other) const {
    const auto same = [](const auto& a, const auto& b) {
      return a.size() == b.size() &&
             (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0);
    };
    return same(y, other.y) && same(dx, other.dx) && same(mean, other.mean) &&
           same(sigma, other.sigma) && std::memcmp(&dz_k, &other.dz_k, sizeof dz_k) == 0 &&
           std::memcmp(&dalpha, &other.dalpha, sizeof dalpha) == 0;
  }
};

template <typename T>
Result<T> Compute(const Case& c, const std::vector<T>& x, const std::vector<T>& dy, int threads) {
  Result<T> r;
  r.mean.resize(c.batch);
  r.sigma.resize(c.batch);
  const ash::Executor executor = Threads(threads);
  if (c.in_place) {
    r.y = x;
    r.dx = dy;
  } else {
    r.y.resize(x.size());
    r.dx.resize(x.size());
  }
  ash::Forward<T>(c.in_place ? r.y.data() : x.data(), c.batch, c.size, c.parameters, executor,
                  r.y.data(), r.mean.data(), r.sigma.data());
  ash::Backward<T>(c.in_place ? r.dx.data() : dy.data(), x.data(), r.mean.data(), r.sigma.data(),
                   c.batch, c.size, c.parameters, executor, r.dx.data(), &r.dz_k, &r.dalpha);
  return r;
}

// An element of a kind of input; `first` is one number for the whole sample. An outlier is a
// sample's first element: the kernels take their deviations from it, so that the square of the mean
// deviation nearly cancels the mean of the squares.
template <typename T>
T Element(const std::string& kind, bool is_first, Real normal, Real uniform, Real first) {
  const Real largest = std::numeric_limits<T>::max();
  if (kind == "normal") return static_cast<T>(normal);
  if (kind == "constant") return static_cast<T>(first);
  if (kind == "offset") return static_cast<T>(1e4L + 1e-2L * normal);
  if (kind == "mixed") return static_cast<T>(std::copysign(std::pow(10.0L, 8 * uniform - 4), normal));
  if (kind == "sparse") return static_cast<T>(uniform < 0.9L ? 0 : normal * 10);
  if (kind == "small") return static_cast<T>(normal * 1e-20L);
  if (kind == "huge") return static_cast<T>((2 * uniform - 1) * std::pow(largest, 0.7L));
  if (kind == "largest") return static_cast<T>(std::copysign(largest, normal));
  if (kind == "outlier") return static_cast<T>(is_first ? 1e6L : first);
  if (kind == "outlier and noise") return static_cast<T>(is_first ? 1e6L : first + 1e-2L * normal);
  std::abort();
}

const char* const kKinds[] = {"normal", "constant", "offset",  "mixed",   "sparse",
                              "small",  "huge",     "largest", "outlier", "outlier and noise"};

// Counts what is wrong with a case.
class Report {
 public:
  explicit Report(const std::string& name) : name_(name) {}
  void Hold(const char* what, Real actual, Real expected, Real allowed) {
    if (std::abs(actual - expected) <= allowed) return;  // false for NaN
    if (++failures_ <= 3) {
      std::printf("%s: %s is %.9Lg, should be %.9Lg within %.3Lg\n", name_.c_str(), what, actual,
                  expected, allowed);
    }
  }
  void Hold(const char* what, bool holds) { Hold(what, holds, 1, 0); }
  bool failed() const { return failures_ > 0; }

 private:
  const std::string name_;
  int failures_ = 0;
};

template <typename T>
void CheckAgainstFormula(const Case& c, const std::vector<T>& x, const std::vector<T>& dy,
                         const Result<T>& r, Report* report) {
  const Real eps = std::numeric_limits<T>::epsilon(), tiny = std::numeric_limits<T>::min();
  const Real largest = std::numeric_limits<T>::max();
  const Real z_k = c.parameters.z_k, alpha = c.parameters.alpha, leak = c.parameters.leak;
  const auto clip = [largest](Real v) { return std::max(-largest, std::min(largest, v)); };
  Real dz_k = 0, dalpha = 0, dz_k_terms = 0, dalpha_terms = 0;
  Real dz_k_blur = 0, dalpha_blur = 0;
  for (int64_t sample = 0; sample < c.batch; ++sample) {
    const T* row = x.data() + sample * c.size;
    Real mean = 0, variance = 0, extent = 0, moment = 0;
    // From the first element, which for a constant sample is exact.
    for (int64_t i = 0; i < c.size; ++i) mean += Real(row[i]) - row[0];
    mean = row[0] + mean / c.size;
    for (int64_t i = 0; i < c.size; ++i) {
      variance += (row[i] - mean) * (row[i] - mean);
      extent = std::max(extent, std::abs(Real(row[i])));
      moment += (Real(row[i]) - row[0]) * (Real(row[i]) - row[0]) / c.size;
    }
    const Real sigma = std::sqrt(variance / c.size);
    const Real double_eps = std::numeric_limits<double>::epsilon();
    // The kernels sum deviations from the first element in double: at least 8 sums beside one
    // another, in chunks of 8192 elements. `lost` is what the additions of one such sum round by.
    const Real lost = double_eps * std::min<int64_t>(c.size, 8192) / 8;
    const Real mean_lost = lost * std::sqrt(moment);
    const Real sigma_lost = sigma > 0 ? lost * moment / sigma : 0;
    // The mean of large elements of both signs is known to their rounding.
    report->Hold("mean", r.mean[sample], mean, 64 * double_eps * extent + mean_lost);
    report->Hold("sigma", r.sigma[sample], sigma,
                 1e-9L * sigma + 4 * double_eps * extent + sigma_lost);
    const Real threshold = mean + z_k * sigma;
    // What the threshold is rounded by, and how far that and x - threshold's own rounding move the
    // gate.
    const Real blur = 64 * double_eps * (extent + std::abs(z_k) * sigma) + mean_lost +
                      std::abs(z_k) * sigma_lost;
    const auto gate_error = [&](Real d) {
      return std::min<Real>(1, 0.5L * std::abs(alpha) * (eps * std::abs(d) + blur)) + 8 * eps;
    };
    std::vector<Real> q(c.size), s(c.size);
    Real pull = 0, pull_terms = 0;
    for (int64_t i = 0; i < c.size; ++i) {
      const Real d = row[i] - threshold, u = 2 * alpha * d;
      s[i] = 1 / (1 + std::exp(-u));
      const Real slope = 1 / ((1 + std::exp(-u)) * (1 + std::exp(u)));
      q[i] = 2 * alpha * (1 - leak) * Real(dy[sample * c.size + i]) * row[i] * slope;
      const Real lever = 2 * (1 - leak) * Real(dy[sample * c.size + i]) * row[i] * slope * d;
      report->Hold("y", r.y[sample * c.size + i], row[i] * (leak + (1 - leak) * s[i]),
                   gate_error(d) * std::abs(Real(row[i])) + tiny);
      pull += q[i];
      pull_terms += std::abs(q[i]);
      dalpha += lever;
      dalpha_terms += std::abs(lever);
      const Real moved = std::abs(Real(dy[sample * c.size + i]) * row[i]) *
                         std::min<Real>(1, std::abs(alpha) * (blur + eps * std::abs(d)));
      dz_k_blur += sigma * std::abs(alpha) * moved;
      dalpha_blur += std::abs(Real(dy[sample * c.size + i]) * row[i]) * blur + std::abs(d) * moved;
    }
    dz_k -= sigma * pull;
    dz_k_terms += sigma * pull_terms;
    pull /= c.size;
    pull_terms /= c.size;
    for (int64_t i = 0; i < c.size; ++i) {
      const Real g = dy[sample * c.size + i];
      const Real tilt = sigma > 0 ? z_k * (row[i] - mean) / sigma : 0;
      const Real expected = g * (leak + (1 - leak) * s[i]) + q[i] - pull * (1 + tilt);
      const Real terms = std::abs(g) + std::abs(2 * alpha * g * row[i]) * 0.25L +
                         pull_terms * (1 + std::abs(tilt));
      const Real d = row[i] - threshold;
      report->Hold("dx", r.dx[sample * c.size + i], clip(expected),
                   (16 * gate_error(d) + 64 * eps) * terms +
                       (sigma > 0 ? pull_terms * std::abs(z_k) * blur / sigma : 0) + tiny);
    }
  }
  const Real most = std::numeric_limits<double>::max();
  const auto clip_double = [most](Real v) { return std::max(-most, std::min(most, v)); };
  const Real share = sizeof(T) == sizeof(float) ? 2e-5L : 1e-9L;
  report->Hold("dz_k", r.dz_k, clip_double(dz_k), share * dz_k_terms + dz_k_blur + tiny);
  report->Hold("dalpha", r.dalpha, clip_double(dalpha), share * dalpha_terms + dalpha_blur + tiny);
}

template <typename T>
bool Check(const Case& c, std::mt19937_64* random, const std::string& name) {
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<T> x(c.batch * c.size), dy(c.batch * c.size);
  for (int64_t sample = 0; sample < c.batch; ++sample) {
    const double first = 100 * normal(*random);
    for (int64_t i = 0; i < c.size; ++i) {
      const double a = normal(*random), b = uniform(*random);
      x[sample * c.size + i] = Element<T>(c.kind, i == 0, a, b, first);
      dy[sample * c.size + i] = static_cast<T>(2 * uniform(*random) - 1);
    }
  }
  Report report(name);
  const Result<T> one = Compute(c, x, dy, 1);
  report.Hold("equality of 1 and 2 threads", one == Compute(c, x, dy, 2));
  report.Hold("equality of 1 and 8 threads", one == Compute(c, x, dy, 8));
  Case other = c;
  other.in_place = !c.in_place;
  report.Hold("equality in place and elsewhere", one == Compute(other, x, dy, 2));
  CheckAgainstFormula(c, x, dy, one, &report);
  return !report.failed();
}

}  // namespace

int main(int argc, char** argv) {
  const int cases = argc > 1 ? std::atoi(argv[1]) : 400;
  const unsigned long long seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  const int64_t sizes[] = {1, 2, 3, 7, 15, 16, 17, 31, 64, 127, 129, 1000, 8191, 8192, 8193, 20011};
  std::mt19937_64 random(seed);
  const auto pick = [&random](int64_t count) { return static_cast<int64_t>(random() % count); };
  int failures = 0;
  for (int i = 0; i < cases; ++i) {
    Case c;
    c.size = i % 2 ? sizes[pick(sizeof sizes / sizeof sizes[0])] : 1 + pick(300);
    c.batch = pick(c.size > 1000 ? 4 : 12);
    const double z_ks[] = {1e-3, 1.96, -1.0, 0.5}, alphas[] = {1.0, 0.05, 5.0, -1.0, 0.0, 1e6};
    const double leaks[] = {0.0, 0.01, 0.5};
    c.parameters = {z_ks[pick(4)], alphas[pick(i % 7 ? 4 : 6)], leaks[pick(3)]};
    c.kind = kKinds[pick(sizeof kKinds / sizeof kKinds[0])];
    c.in_place = pick(2);
    const bool is_float = pick(2);
    char name[200];
    std::snprintf(name, sizeof name, "case %d, %s %lld x %lld %s, z_k %g alpha %g leak %g", i,
                  is_float ? "float" : "double", static_cast<long long>(c.batch),
                  static_cast<long long>(c.size), c.kind.c_str(), c.parameters.z_k,
                  c.parameters.alpha, c.parameters.leak);
    const bool ok =
        is_float ? Check<float>(c, &random, name) : Check<double>(c, &random, name);
    failures += !ok;
  }
  std::printf("%s: %d cases, %d wrong\n", ash::InstructionSet(), cases, failures);
  return failures > 0;
}
