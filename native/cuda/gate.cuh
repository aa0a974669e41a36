// What is computed for an element, and in which types: the twin of cpu/rows.cc and cpu/wide_rows.h.
#ifndef ASH_NATIVE_CUDA_GATE_CUH_
#define ASH_NATIVE_CUDA_GATE_CUH_

#ifdef __CUDACC__
#include <cuda_fp16.h>
#endif

#include <stdint.h>

namespace {

// C: what an element is computed in; P: the dtype of z_k and alpha.
template <typename T>
struct Traits {
  using C = T;
  using P = T;
};
template <>
struct Traits<__half> {
  using C = float;
  using P = float;
};

template <typename C>
struct Limits;
template <>
struct Limits<float> {
  static constexpr double kLargest = 3.4028234663852886e38, kTame = 1e12;
};
template <>
struct Limits<double> {
  static constexpr double kLargest = 1.7976931348623157e308, kTame = 1e100;
};

template <typename C, typename T>
__device__ C Read(const T* from) { return static_cast<C>(*from); }
template <>
__device__ float Read<float, __half>(const __half* from) { return __half2float(*from); }
template <>
__device__ double Read<double, __half>(const __half* from) { return __half2float(*from); }

// Writes saturating instead of overflowing; what is infinite already, and NaN, stay.
__device__ void Write(double* to, double value) { *to = value; }
__device__ void Write(float* to, double value) {
  constexpr double kLargest = Limits<float>::kLargest;
  *to = static_cast<float>(isinf(value) ? value : value > kLargest ? kLargest
                                              : value < -kLargest ? -kLargest : value);
}
__device__ void Write(float* to, float value) { *to = value; }
__device__ void Write(__half* to, float value) {
  constexpr float kLargest = 65504.0f;
  *to = __float2half_rn(isinf(value) ? value : value > kLargest ? kLargest
                                           : value < -kLargest ? -kLargest : value);
}
__device__ void Write(__half* to, double value) {
  float narrow;
  Write(&narrow, value);
  Write(to, narrow);
}

// A sample's gate, as in cpu/rows.h.
template <typename C>
struct Gate {
  C high, low, slope, leak, pass;
};

struct Sample {
  double threshold, slope, leak;
  bool is_tame;

  template <typename T>
  __device__ static Sample Make(double mean, double sigma, int64_t size, double z_k, double alpha,
                                double leak) {
    using C = typename Traits<T>::C;
    Sample sample;
    sample.threshold = mean + z_k * sigma;
    sample.slope = 2 * alpha;
    sample.leak = leak;
    // NaN has to fail.
    sample.is_tame =
        fabs(mean) + (sqrt(static_cast<double>(size)) + fabs(z_k)) * sigma < Limits<C>::kTame &&
        fabs(alpha) < Limits<double>::kLargest;
    return sample;
  }

  template <typename C>
  __device__ Gate<C> As() const {
    Gate<C> gate;
    Write(&gate.high, threshold);
    Write(&gate.low, threshold - static_cast<double>(gate.high));
    Write(&gate.slope, slope);
    gate.leak = static_cast<C>(leak);
    gate.pass = static_cast<C>(1 - leak);
    return gate;
  }
};

__device__ float Exp(float x) { return expf(x); }
__device__ double Exp(double x) { return exp(x); }
__device__ float Abs(float x) { return fabsf(x); }
__device__ double Abs(double x) { return fabs(x); }

template <typename C>
struct Opened {
  C centred, s, slope;
};

template <typename C>
__device__ Opened<C> Open(const Gate<C>& gate, C x) {
  const C centred = (x - gate.high) - gate.low;
  const C u = centred * gate.slope;
  const C decay = Exp(-Abs(u));
  const C larger = C(1) / (C(1) + decay);
  return {centred, (u > C(0) ? C(1) : decay) * larger, decay * larger * larger};
}

}  // namespace

#endif  // ASH_NATIVE_CUDA_GATE_CUH_
