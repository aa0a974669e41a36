// Holds ash.cu against the formula in double and measures its bandwidth; see --help. Built by
// `make cuda-harness`, alone, without TensorFlow.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#ifdef __CUDACC__
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#endif

#include "ash.h"

namespace {

#define CHECK_CUDA(call)                                                             \
  do {                                                                               \
    const int error_ = (call);                                                       \
    if (error_) {                                                                    \
      std::fprintf(stderr, "%s: %s\n", #call, ash_cuda_error_string(error_));        \
      std::exit(2);                                                                  \
    }                                                                                \
  } while (0)

// Device memory with the contents of a vector.
template <typename T>
class OnDevice {
 public:
  explicit OnDevice(size_t count) : count_(count) {
    CHECK_CUDA(cudaMalloc(&data_, std::max<size_t>(1, count * sizeof(T))));
  }
  explicit OnDevice(const std::vector<T>& values) : OnDevice(values.size()) { Set(values); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  ~OnDevice() { cudaFree(data_); }
  T* data() const { return data_; }
  void Set(const std::vector<T>& values) {
    CHECK_CUDA(cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  std::vector<T> Get() const {
    std::vector<T> values(count_);
    CHECK_CUDA(cudaMemcpy(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
  }

 private:
  T* data_ = nullptr;
  size_t count_;
};

template <typename T>
struct Kind;
template <>
struct Kind<__half> {
  using P = float;
  static constexpr AshDtype dtype = ASH_HALF;
  static const char* name() { return "half"; }
  static double tolerance() { return 2e-3; }
  static double largest() { return 65504; }
  static __half From(double v) { return __float2half_rn(static_cast<float>(v)); }
  static double To(__half v) { return __half2float(v); }
};
template <>
struct Kind<float> {
  using P = float;
  static constexpr AshDtype dtype = ASH_FLOAT;
  static const char* name() { return "float"; }
  static double tolerance() { return 1e-5; }
  static double largest() { return std::numeric_limits<float>::max(); }
  static float From(double v) { return static_cast<float>(v); }
  static double To(float v) { return v; }
};
template <>
struct Kind<double> {
  using P = double;
  static constexpr AshDtype dtype = ASH_DOUBLE;
  static const char* name() { return "double"; }
  static double tolerance() { return 1e-9; }
  static double largest() { return 1e150; }
  static double From(double v) { return v; }
  static double To(double v) { return v; }
};

struct Case {
  int64_t batch, size;
  double z_k, alpha, leak;
  const char* input;
  bool in_place;
};

// An element of a sample. An outlier is a sample's first element: the kernels take their deviations
// from it, so that the square of the mean deviation nearly cancels the mean of the squares.
double Element(const char* input, bool is_first, double normal, double largest) {
  if (!std::strncmp(input, "outlier", 7)) {
    if (is_first) return std::min(1e6, largest);
    return std::strcmp(input, "outlier") ? 0.7 + 1e-2 * normal : 0.7;
  }
  if (!std::strcmp(input, "normal")) return normal;
  if (!std::strcmp(input, "constant")) return 0.7;
  if (!std::strcmp(input, "offset")) return 1e3 + normal;
  if (!std::strcmp(input, "far")) return 1e4 + 1e-2 * normal;
  if (!std::strcmp(input, "small")) return 1e-20 * normal;
  return std::copysign(largest, normal);  // "largest"
}

bool Hold(const char* what, double actual, double expected, double allowed, const Case& c,
          const char* dtype) {
  if (std::abs(actual - expected) <= allowed) return true;  // false for NaN
  std::printf("%s %lld x %lld %s: %s is %.9g, should be %.9g within %.3g\n", dtype,
              static_cast<long long>(c.batch), static_cast<long long>(c.size), c.input, what,
              actual, expected, allowed);
  return false;
}

template <typename T>
bool Check(const Case& c, unsigned seed) {
  using K = Kind<T>;
  using P = typename K::P;
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::vector<T> x(c.batch * c.size), dy(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = K::From(Element(c.input, i % c.size == 0, normal(random), K::largest()));
    dy[i] = K::From(std::tanh(normal(random)));
  }
  OnDevice<T> device_x(x), device_dy(dy), device_y(x), device_dx(dy);
  OnDevice<P> z_k(std::vector<P>{static_cast<P>(c.z_k)});
  OnDevice<P> alpha(std::vector<P>{static_cast<P>(c.alpha)}), dz_k(1), dalpha(1);
  OnDevice<double> mean(c.batch), sigma(c.batch);
  OnDevice<char> workspace(ash_cuda_workspace_bytes(c.batch, c.size));
  CHECK_CUDA(ash_cuda_forward(K::dtype, c.in_place ? device_y.data() : device_x.data(), c.batch,
                              c.size, z_k.data(), alpha.data(), c.leak, device_y.data(),
                              mean.data(), sigma.data(), workspace.data(), nullptr));
  CHECK_CUDA(ash_cuda_backward(K::dtype, c.in_place ? device_dx.data() : device_dy.data(),
                               device_x.data(), mean.data(), sigma.data(), c.batch, c.size,
                               z_k.data(), alpha.data(), c.leak, device_dx.data(), dz_k.data(),
                               dalpha.data(), workspace.data(), nullptr));
  CHECK_CUDA(cudaDeviceSynchronize());
  const std::vector<T> y = device_y.Get(), dx = device_dx.Get();
  const std::vector<double> means = mean.Get(), sigmas = sigma.Get();

  const double z = static_cast<P>(c.z_k), a = static_cast<P>(c.alpha), leak = c.leak;
  const double tolerance = K::tolerance();
  bool ok = true;
  double z_total = 0, a_total = 0, z_terms = 0, a_terms = 0;
  for (int64_t sample = 0; sample < c.batch && ok; ++sample) {
    const T *row = x.data() + sample * c.size, *gradient = dy.data() + sample * c.size;
    long double first = 0, second = 0, extent = 0;
    for (int64_t i = 0; i < c.size; ++i) {
      first += static_cast<long double>(K::To(row[i])) - K::To(row[0]);
      extent = std::max<long double>(extent, std::abs(K::To(row[i])));
    }
    const long double exact_mean = K::To(row[0]) + first / c.size;
    for (int64_t i = 0; i < c.size; ++i) {
      second += (K::To(row[i]) - exact_mean) * (K::To(row[i]) - exact_mean);
    }
    const long double exact_sigma = std::sqrt(second / c.size);
    ok &= Hold("mean", means[sample], exact_mean, 1e-7 * exact_sigma + 1e-14 * extent, c, K::name());
    ok &= Hold("sigma", sigmas[sample], exact_sigma, 1e-6 * exact_sigma + 1e-14 * extent, c,
               K::name());
    const long double threshold = exact_mean + z * exact_sigma, size = c.size;
    std::vector<long double> q(c.size), gate(c.size);
    long double pull = 0, pull_terms = 0, largest_terms = 0;
    for (int64_t i = 0; i < c.size; ++i) {
      const long double d = K::To(row[i]) - threshold, v = K::To(row[i]), g = K::To(gradient[i]);
      gate[i] = 1 / (1 + std::exp(-2 * a * d));
      const long double slope = 1 / ((1 + std::exp(-2 * a * d)) * (1 + std::exp(2 * a * d)));
      q[i] = 2 * (1 - leak) * g * v * slope;
      pull += a * q[i];
      pull_terms += std::abs(a * q[i]);
      a_total += q[i] * d;
      a_terms += std::abs(q[i] * d);
      largest_terms = std::max<long double>(
          largest_terms, std::abs(g) + std::abs(a * g * v) * (1 - leak) / 2);
    }
    z_total -= exact_sigma * pull;
    z_terms += exact_sigma * pull_terms;
    for (int64_t i = 0; i < c.size && ok; ++i) {
      const long double v = K::To(row[i]), g = K::To(gradient[i]);
      const long double tilt = exact_sigma > 0 ? z * (v - exact_mean) / exact_sigma : 0;
      const long double expected = g * (leak + (1 - leak) * gate[i]) + a * q[i] -
                                   pull / size * (1 + tilt);
      ok &= Hold("y", K::To(y[sample * c.size + i]), v * (leak + (1 - leak) * gate[i]),
                 tolerance * extent + 1e-30, c, K::name());
      const long double clipped = std::max<long double>(
          -K::largest(), std::min<long double>(K::largest(), expected));
      ok &= Hold("dx", K::To(dx[sample * c.size + i]), clipped,
                 tolerance * (largest_terms + pull_terms / size * (1 + std::abs(tilt))), c,
                 K::name());
    }
  }
  ok &= Hold("dz_k", dz_k.Get()[0], z_total, 1e-5 * z_terms + 1e-30, c, K::name());
  ok &= Hold("dalpha", dalpha.Get()[0], a_total, 1e-5 * a_terms + 1e-30, c, K::name());
  return ok;
}

int CheckAll() {
  const int64_t shapes[][2] = {{0, 5}, {3, 1}, {2, 255}, {5, 257}, {2, 8193}, {2, 20001}, {3, 4097}};
  const char* inputs[] = {"normal", "constant", "offset",  "far",
                          "small",  "largest",  "outlier", "outlier and noise"};
  int cases = 0, wrong = 0;
  for (const auto& shape : shapes) {
    for (const char* input : inputs) {
      const bool is_small = shape[1] < 300;
      if (!is_small && cases % 3) {  // the large ones with some of the inputs
        ++cases;
        continue;
      }
      const Case c = {shape[0], shape[1], cases % 2 ? 0.5 : -1.0, cases % 5 ? 1.0 : 0.3,
                      cases % 3 ? 0.0 : 0.01, input, cases % 4 < 2};
      wrong += !Check<float>(c, cases) + !Check<double>(c, cases);
      // half has no 1e4 with a deviation of 1e-2, nor 1e-20.
      if (std::strcmp(input, "far") && std::strcmp(input, "small")) wrong += !Check<__half>(c, cases);
      ++cases;
    }
  }
  std::printf("checked against the formula in long double: %s\n",
              wrong ? "some are wrong" : "all right");
  return wrong;
}

// The median seconds of `repeats` calls.
template <typename Function>
double Time(const Function& function, int repeats) {
  cudaEvent_t begin, end;
  CHECK_CUDA(cudaEventCreate(&begin));
  CHECK_CUDA(cudaEventCreate(&end));
  std::vector<double> seconds;
  for (int i = 0; i < repeats + 3; ++i) {
    CHECK_CUDA(cudaEventRecord(begin));
    function();
    CHECK_CUDA(cudaEventRecord(end));
    CHECK_CUDA(cudaEventSynchronize(end));
    float milliseconds;
    CHECK_CUDA(cudaEventElapsedTime(&milliseconds, begin, end));
    if (i >= 3) seconds.push_back(milliseconds / 1e3);
  }
  CHECK_CUDA(cudaEventDestroy(begin));
  CHECK_CUDA(cudaEventDestroy(end));
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

template <typename T>
void Measure(int64_t batch, int64_t size, int repeats) {
  const size_t count = batch * size;
  std::vector<T> values(count);
  std::mt19937 random(0);
  std::normal_distribution<double> normal;
  for (T& value : values) value = Kind<T>::From(normal(random));
  using P = typename Kind<T>::P;
  OnDevice<T> x(values), dy(values), y(count), dx(count);
  OnDevice<P> z_k(std::vector<P>{P(0.001)}), alpha(std::vector<P>{P(1)}), dz_k(1), dalpha(1);
  OnDevice<double> mean(batch), sigma(batch);
  OnDevice<char> workspace(ash_cuda_workspace_bytes(batch, size));
  const double bytes = static_cast<double>(count) * sizeof(T);
  const double copy = Time([&] {
    cudaMemcpy(y.data(), x.data(), count * sizeof(T), cudaMemcpyDeviceToDevice);
  }, repeats);
  const double forward = Time([&] {
    ash_cuda_forward(Kind<T>::dtype, x.data(), batch, size, z_k.data(), alpha.data(), 0, y.data(),
                     mean.data(), sigma.data(), workspace.data(), nullptr);
  }, repeats);
  const double backward = Time([&] {
    ash_cuda_backward(Kind<T>::dtype, dy.data(), x.data(), mean.data(), sigma.data(), batch, size,
                      z_k.data(), alpha.data(), 0, dx.data(), dz_k.data(), dalpha.data(),
                      workspace.data(), nullptr);
  }, repeats);
  // A copy reads and writes; forward reads twice and writes; backward reads two twice and writes.
  const double bandwidth = 2 * bytes / copy;
  std::printf("%-6s %4lld x %-7lld copy %7.1f GB/s; forward %8.1f us, %7.1f GB/s, %.2f of the "
              "copy's; backward %8.1f us, %7.1f GB/s, %.2f\n",
              Kind<T>::name(), static_cast<long long>(batch), static_cast<long long>(size),
              bandwidth / 1e9, forward * 1e6, 3 * bytes / forward / 1e9,
              3 * bytes / forward / bandwidth, backward * 1e6, 5 * bytes / backward / 1e9,
              5 * bytes / backward / bandwidth);
}

}  // namespace

int main(int argc, char** argv) {
  bool is_timed = true;
  int repeats = 50;
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--check-only")) {
      is_timed = false;
    } else if (!std::strcmp(argv[i], "--repeats") && i + 1 < argc && std::atoi(argv[i + 1]) > 0) {
      repeats = std::atoi(argv[++i]);
    } else {
      std::printf("usage: harness [--check-only] [--repeats N]\n\n"
                  "Holds the CUDA kernels of ASH against the formula on the CPU, then times them\n"
                  "on layers of ResNet-20, WRN-28-10 and one sample of 1e7 elements: medians of\n"
                  "N runs (50), and the bandwidth reached beside that of a copy on the device.\n"
                  "Exit status 1: a value is wrong; 2: a CUDA error, or a wrong option.\n");
      return std::strcmp(argv[i], "--help") ? 2 : 0;
    }
  }
  cudaDeviceProp properties;
  CHECK_CUDA(cudaGetDeviceProperties(&properties, 0));
  std::printf("%s\n", properties.name);
  if (CheckAll()) return 1;
  if (is_timed) {
    const int64_t shapes[][2] = {{128, 16384}, {128, 4096}, {64, 65536}, {128, 163840}, {1, 10000000}};
    for (const auto& shape : shapes) {
      Measure<float>(shape[0], shape[1], repeats);
      Measure<__half>(shape[0], shape[1], repeats);
    }
  }
  return 0;
}
