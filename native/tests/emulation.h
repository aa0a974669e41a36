// Enough of CUDA to run cuda/ash.cu and its harness on a CPU, block after block, with a thread for
// each of a block's threads: it shows whether indices, barriers and arithmetic are right, and
// nothing of the speed. A header that the compiler includes first (-include) in place of CUDA's.
#ifndef ASH_NATIVE_TESTS_EMULATION_H_
#define ASH_NATIVE_TESTS_EMULATION_H_

#include <pthread.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __shared__ static  // blocks run one after the other

struct Dim3 {
  unsigned x;
};
inline thread_local Dim3 threadIdx{0}, blockIdx{0};
inline pthread_barrier_t emulated_barrier;
inline void __syncthreads() { pthread_barrier_wait(&emulated_barrier); }

using std::isinf;

// IEEE half: 1 sign, 5 exponent and 10 mantissa bits.
struct __half {
  uint16_t bits;
};

inline float __half2float(__half h) {
  const int exponent = h.bits >> 10 & 31, mantissa = h.bits & 1023;
  const float magnitude =
      exponent == 31 ? (mantissa ? NAN : INFINITY)
      : exponent     ? std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25)
                     : std::ldexp(static_cast<float>(mantissa), -24);
  return h.bits >> 15 ? -magnitude : magnitude;
}

inline __half __float2half_rn(float value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const float magnitude = std::fabs(value);
  if (std::isnan(value)) return {0x7e00};
  if (magnitude >= 65520) return {static_cast<uint16_t>(sign | 0x7c00)};
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  const int step = (exponent < -13 ? -13 : exponent) - 11;  // of the last bit
  // Rounded to even by nearbyint; a carry runs on into the exponent as it should.
  const int units = static_cast<int>(std::nearbyint(std::ldexp(magnitude, -step)));
  const int bits = units < 1024 ? units : ((step + 24) << 10) + units;
  return {static_cast<uint16_t>(sign | bits)};
}

using cudaError_t = int;
using cudaStream_t = void*;
constexpr cudaError_t cudaSuccess = 0, cudaErrorInvalidConfiguration = 9;
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t) { return "emulated"; }
template <typename T>
cudaError_t cudaMalloc(T** to, size_t bytes) {
  *to = static_cast<T*>(std::malloc(bytes));
  return cudaSuccess;
}
inline cudaError_t cudaFree(void* memory) {
  std::free(memory);
  return cudaSuccess;
}
inline cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  if (bytes) std::memcpy(to, from, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t) {
  std::memset(to, value, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
struct cudaDeviceProp {
  char name[32];
};
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::strcpy(properties->name, "emulation on the CPU");
  return cudaSuccess;
}
using cudaEvent_t = std::chrono::steady_clock::time_point*;
inline cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = new std::chrono::steady_clock::time_point;
  return cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t event) {
  *event = std::chrono::steady_clock::now();
  return cudaSuccess;
}
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  *milliseconds = std::chrono::duration<float, std::milli>(*to - *from).count();
  return cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

inline void EmulateLaunch(unsigned blocks, int threads, const std::function<void()>& body) {
  pthread_barrier_init(&emulated_barrier, nullptr, threads);
  std::vector<std::thread> running;
  for (int thread = 0; thread < threads; ++thread) {
    running.emplace_back([=, &body] {
      threadIdx.x = thread;
      for (unsigned block = 0; block < blocks; ++block) {
        blockIdx.x = block;
        body();
        __syncthreads();
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  pthread_barrier_destroy(&emulated_barrier);
}

#define ASH_LAUNCH(kernel, blocks, threads, stream, ...) \
  ((void)(stream), EmulateLaunch(blocks, threads, [&] { kernel(__VA_ARGS__); }))

#endif  // ASH_NATIVE_TESTS_EMULATION_H_
