// Two launches forward, three backward: sums over chunks of the samples; then, by blocks that first
// add up the sums of their sample, each element; and backward what is summed over all samples.
// Forward a small sample is one block's, which keeps it in registers: one launch, one read.
//
// tests/emulation.h runs this file on a CPU, where there is no GPU to test it on.
#include "ash.h"

#include "gate.cuh"
#include "sums.cuh"

#ifdef __CUDACC__
#include <cuda_runtime.h>
#define ASH_LAUNCH(kernel, blocks, threads, stream, ...) \
  kernel<<<blocks, threads, 0, stream>>>(__VA_ARGS__)
#endif

namespace {

// ---- forward ----------------------------------------------------------------------------------

template <typename T>
struct Deviation {
  const T* row;
  double shift;
  __device__ Pair<double> operator()(int64_t i) const {
    const double d = Read<double>(row + i) - shift;
    return {d, d * d};
  }
};

// {sum d, sum d^2} of the deviations d from the sample's first element. In double whatever T is:
// where that element is an outlier, the variance is a small difference of large squares.
template <typename T>
__device__ Sums Moments(const T* row, int64_t begin, int64_t end) {
  return ChunkSum<double>(begin, end, Deviation<T>{row, Read<double>(row)});
}

template <typename T>
__global__ void ForwardSums(const T* x, int64_t size, int64_t chunks, Workspace work) {
  const int64_t sample = blockIdx.x / chunks, begin = blockIdx.x % chunks * kChunk;
  const int64_t end = begin + kChunk < size ? begin + kChunk : size;
  const T* row = x + sample * size;
  const Sums sums = Moments(row, begin, end);
  if (threadIdx.x == 0) {
    work.chunks[blockIdx.x] = sums;
    if (begin == 0) work.shifts[sample] = Read<double>(row);
  }
}

// The statistics of a sample from the sums of its deviations.
struct Statistics {
  double mean, sigma;
  __device__ Statistics(const Sums& sums, double shift, int64_t size) {
    const double shifted = sums.first / size;
    const double variance = sums.second / size - shifted * shifted;
    mean = shift + shifted;
    sigma = variance <= 0 ? 0 : sqrt(variance);  // NaN stays
  }
};

// Writes function(element) for the block's elements. They are read a run at a time, before any of the
// run is written: `to` may be `from`, so that the compiler would not read ahead by itself.
template <typename C, typename T, typename Function>
__device__ void MapChunk(const T* from, int64_t begin, int64_t end, T* to,
                         const Function& function) {
  for (int64_t run = begin + threadIdx.x; run < end; run += kRun * kThreads) {
    C values[kRun];
#pragma unroll
    for (int k = 0; k < kRun; ++k) {
      const int64_t i = run + k * kThreads;
      values[k] = i < end ? Read<C>(from + i) : C(0);
    }
#pragma unroll
    for (int k = 0; k < kRun; ++k) {
      const int64_t i = run + k * kThreads;
      if (i < end) Write(to + i, function(values[k]));
    }
  }
}

template <typename C>
struct Forwarded {
  Gate<C> gate;
  __device__ C operator()(C v) const { return v * (gate.leak + gate.pass * Open(gate, v).s); }
};

template <typename T>
__global__ void ForwardElements(const T* x, int64_t size, int64_t chunks,
                                const typename Traits<T>::P* z_k,
                                const typename Traits<T>::P* alpha, double leak, T* y, double* mean,
                                double* sigma, Workspace work) {
  using C = typename Traits<T>::C;
  const int64_t sample = blockIdx.x / chunks, begin = blockIdx.x % chunks * kChunk;
  const int64_t end = begin + kChunk < size ? begin + kChunk : size;
  const Sums sums = SampleSum(work.chunks + sample * chunks, chunks);
  const Statistics found(sums, work.shifts[sample], size);
  if (begin == 0 && threadIdx.x == 0) {
    mean[sample] = found.mean;
    sigma[sample] = found.sigma;
  }
  const Sample made = Sample::Make<T>(found.mean, found.sigma, size, *z_k, *alpha, leak);
  const T* row = x + sample * size;
  T* out = y + sample * size;
  if (made.is_tame) {
    MapChunk<C>(row, begin, end, out, Forwarded<C>{made.As<C>()});
  } else {
    MapChunk<double>(row, begin, end, out, Forwarded<double>{made.As<double>()});
  }
}

// A sample of at most kElements * kThreads elements, a block each.
template <typename T, int kElements>
__global__ void ForwardSample(const T* x, int64_t size, const typename Traits<T>::P* z_k,
                              const typename Traits<T>::P* alpha, double leak, T* y, double* mean,
                              double* sigma) {
  using C = typename Traits<T>::C;
  const int64_t sample = blockIdx.x;
  const T* row = x + sample * size;
  T* out = y + sample * size;
  C values[kElements];
#pragma unroll
  for (int k = 0; k < kElements; ++k) {
    const int64_t i = threadIdx.x + k * kThreads;
    values[k] = i < size ? Read<C>(row + i) : C(0);
  }
  const double shift = Read<double>(row);
  Sums mine = {0, 0};
#pragma unroll
  for (int k = 0; k < kElements; ++k) {
    if (threadIdx.x + k * kThreads < size) {
      const double d = values[k] - shift;
      mine.first += d;
      mine.second += d * d;
    }
  }
  const Statistics found(BlockSum(mine), shift, size);
  if (threadIdx.x == 0) {
    mean[sample] = found.mean;
    sigma[sample] = found.sigma;
  }
  const Sample made = Sample::Make<T>(found.mean, found.sigma, size, *z_k, *alpha, leak);
  const Forwarded<C> narrow{made.As<C>()};
  const Forwarded<double> wide{made.As<double>()};
#pragma unroll
  for (int k = 0; k < kElements; ++k) {
    const int64_t i = threadIdx.x + k * kThreads;
    if (i < size) {
      if (made.is_tame) {
        Write(out + i, narrow(values[k]));
      } else {
        Write(out + i, wide(static_cast<double>(values[k])));
      }
    }
  }
}

// ---- backward ---------------------------------------------------------------------------------

template <typename C, typename T>
struct Slope {
  const T *dy, *x;
  Gate<C> gate;
  __device__ Pair<C> operator()(int64_t i) const {
    const C v = Read<C>(x + i);
    const Opened<C> opened = Open(gate, v);
    const C q = Read<C>(dy + i) * (v * opened.slope);
    return {q, q * opened.centred};
  }
};

// {sum q, sum q * (x - threshold)} with q = dy x s (1 - s).
template <typename C, typename T>
__device__ Sums GradientSums(const T* dy, const T* x, const Gate<C>& gate, int64_t begin,
                             int64_t end) {
  return ChunkSum<C>(begin, end, Slope<C, T>{dy, x, gate});
}

template <typename T>
__global__ void BackwardSums(const T* dy, const T* x, const double* mean, const double* sigma,
                             int64_t size, int64_t chunks, const typename Traits<T>::P* z_k,
                             const typename Traits<T>::P* alpha, double leak, Workspace work) {
  using C = typename Traits<T>::C;
  const int64_t sample = blockIdx.x / chunks, begin = blockIdx.x % chunks * kChunk;
  const int64_t end = begin + kChunk < size ? begin + kChunk : size;
  const Sample made = Sample::Make<T>(mean[sample], sigma[sample], size, *z_k, *alpha, leak);
  const T *gradient = dy + sample * size, *row = x + sample * size;
  const Sums sums = made.is_tame
                        ? GradientSums<C>(gradient, row, made.As<C>(), begin, end)
                        : GradientSums<double>(gradient, row, made.As<double>(), begin, end);
  if (threadIdx.x == 0) work.chunks[blockIdx.x] = sums;
}

template <typename C, typename T>
__device__ void FinishChunk(const T* dy, const T* x, const Gate<C>& gate, double tilt,
                            double offset, int64_t begin, int64_t end, T* dx) {
  C narrow_tilt, narrow_offset;
  Write(&narrow_tilt, tilt);
  Write(&narrow_offset, offset);
  for (int64_t run = begin + threadIdx.x; run < end; run += kRun * kThreads) {
    C values[kRun], gradients[kRun];  // read ahead, as in MapChunk
#pragma unroll
    for (int k = 0; k < kRun; ++k) {
      const int64_t i = run + k * kThreads;
      values[k] = i < end ? Read<C>(x + i) : C(0);
      gradients[k] = i < end ? Read<C>(dy + i) : C(0);
    }
#pragma unroll
    for (int k = 0; k < kRun; ++k) {
      const int64_t i = run + k * kThreads;
      if (i >= end) continue;
      const C v = values[k], g = gradients[k];
      const Opened<C> opened = Open(gate, v);
      const C q = g * (v * opened.slope);
      Write(dx + i, g * (gate.leak + gate.pass * opened.s) + gate.pass * gate.slope * q -
                        (narrow_tilt * opened.centred + narrow_offset));
    }
  }
}

template <typename T>
__global__ void BackwardElements(const T* dy, const T* x, const double* mean, const double* sigma,
                                 int64_t size, int64_t chunks, const typename Traits<T>::P* z_k,
                                 const typename Traits<T>::P* alpha, double leak, T* dx,
                                 Workspace work) {
  using C = typename Traits<T>::C;
  const int64_t sample = blockIdx.x / chunks, begin = blockIdx.x % chunks * kChunk;
  const int64_t end = begin + kChunk < size ? begin + kChunk : size;
  const double z = *z_k, a = *alpha, the_sigma = sigma[sample];
  const Sums sums = SampleSum(work.chunks + sample * chunks, chunks);
  const double pull = 2 * a * (1 - leak) * sums.first / size;
  const bool varies = !(the_sigma == 0);
  const double tilt = varies ? z * pull / the_sigma : 0;
  const double offset = varies ? pull + z * z * pull : pull;
  const Sample made = Sample::Make<T>(mean[sample], the_sigma, size, z, a, leak);
  const T *gradient = dy + sample * size, *row = x + sample * size;
  T* out = dx + sample * size;
  if (made.is_tame) {
    FinishChunk<C>(gradient, row, made.As<C>(), tilt, offset, begin, end, out);
  } else {
    FinishChunk<double>(gradient, row, made.As<double>(), tilt, offset, begin, end, out);
  }
}

// One block, for all samples.
template <typename P>
__global__ void ParameterGradients(const double* sigma, int64_t batch, int64_t chunks,
                                   const P* alpha, double leak, P* dz_k, P* dalpha,
                                   Workspace work) {
  Sums mine = {0, 0};
  for (int64_t i = threadIdx.x; i < batch * chunks; i += kThreads) {
    mine.first -= sigma[i / chunks] * work.chunks[i].first;
    mine.second += work.chunks[i].second;
  }
  const Sums sums = BlockSum(mine);
  if (threadIdx.x == 0) {
    const double scale = 2 * (1 - leak);
    Write(dz_k, scale * static_cast<double>(*alpha) * sums.first);
    Write(dalpha, scale * sums.second);
  }
}

// ---- launches ---------------------------------------------------------------------------------

template <typename T, int kElements>
void LaunchForwardSample(const void* x, int64_t batch, int64_t size, const void* z_k,
                         const void* alpha, double leak, void* y, double* mean, double* sigma,
                         cudaStream_t stream) {
  using P = typename Traits<T>::P;
  const auto whole = ForwardSample<T, kElements>;
  ASH_LAUNCH(whole, static_cast<unsigned>(batch), kThreads, stream, static_cast<const T*>(x), size,
             static_cast<const P*>(z_k), static_cast<const P*>(alpha), leak, static_cast<T*>(y),
             mean, sigma);
}

template <typename T>
int Forward(const void* x, int64_t batch, int64_t size, const void* z_k, const void* alpha,
            double leak, void* y, double* mean, double* sigma, void* workspace,
            cudaStream_t stream) {
  using P = typename Traits<T>::P;
  const int64_t chunks = Chunks(size), blocks = batch * chunks;
  if (blocks > 0x7fffffff) return cudaErrorInvalidConfiguration;
  // As many elements a thread as registers hold.
  constexpr int kMost = sizeof(typename Traits<T>::C) == sizeof(double) ? 32 : 64;
  if (size <= kMost * kThreads) {
    const auto launch = size <= kMost / 4 * kThreads   ? LaunchForwardSample<T, kMost / 4>
                        : size <= kMost / 2 * kThreads ? LaunchForwardSample<T, kMost / 2>
                                                       : LaunchForwardSample<T, kMost>;
    launch(x, batch, size, z_k, alpha, leak, y, mean, sigma, stream);
    return cudaGetLastError();
  }
  const Workspace work = Split(workspace, batch, size);
  const auto sums = ForwardSums<T>;
  const auto elements = ForwardElements<T>;
  ASH_LAUNCH(sums, static_cast<unsigned>(blocks), kThreads, stream, static_cast<const T*>(x), size,
             chunks, work);
  ASH_LAUNCH(elements, static_cast<unsigned>(blocks), kThreads, stream, static_cast<const T*>(x),
             size, chunks, static_cast<const P*>(z_k), static_cast<const P*>(alpha), leak,
             static_cast<T*>(y), mean, sigma, work);
  return cudaGetLastError();
}

template <typename T>
int Backward(const void* dy, const void* x, const double* mean, const double* sigma, int64_t batch,
             int64_t size, const void* z_k, const void* alpha, double leak, void* dx, void* dz_k,
             void* dalpha, void* workspace, cudaStream_t stream) {
  using P = typename Traits<T>::P;
  const int64_t chunks = Chunks(size), blocks = batch * chunks;
  if (blocks > 0x7fffffff) return cudaErrorInvalidConfiguration;
  const Workspace work = Split(workspace, batch, size);
  if (blocks > 0) {
    const auto sums = BackwardSums<T>;
    const auto elements = BackwardElements<T>;
    ASH_LAUNCH(sums, static_cast<unsigned>(blocks), kThreads, stream, static_cast<const T*>(dy),
               static_cast<const T*>(x), mean, sigma, size, chunks, static_cast<const P*>(z_k),
               static_cast<const P*>(alpha), leak, work);
    ASH_LAUNCH(elements, static_cast<unsigned>(blocks), kThreads, stream,
               static_cast<const T*>(dy), static_cast<const T*>(x), mean, sigma, size, chunks,
               static_cast<const P*>(z_k), static_cast<const P*>(alpha), leak,
               static_cast<T*>(dx), work);
  }
  const auto parameters = ParameterGradients<P>;
  ASH_LAUNCH(parameters, 1, kThreads, stream, sigma, batch, chunks, static_cast<const P*>(alpha),
             leak, static_cast<P*>(dz_k), static_cast<P*>(dalpha), work);
  return cudaGetLastError();
}

}  // namespace

extern "C" {

size_t ash_cuda_workspace_bytes(int64_t batch, int64_t size) {
  return batch * Chunks(size) * sizeof(Sums) + batch * sizeof(double);
}

int ash_cuda_forward(enum AshDtype dtype, const void* x, int64_t batch, int64_t size,
                     const void* z_k, const void* alpha, double leak, void* y, double* mean,
                     double* sigma, void* workspace, void* stream) {
  const cudaStream_t queue = static_cast<cudaStream_t>(stream);
  if (batch == 0) return 0;
  if (size == 0) {
    const int error = cudaMemsetAsync(mean, 0, batch * sizeof(double), queue);
    return error ? error : cudaMemsetAsync(sigma, 0, batch * sizeof(double), queue);
  }
  const auto forward = dtype == ASH_HALF    ? Forward<__half>
                       : dtype == ASH_FLOAT ? Forward<float>
                                            : Forward<double>;
  return forward(x, batch, size, z_k, alpha, leak, y, mean, sigma, workspace, queue);
}

int ash_cuda_backward(enum AshDtype dtype, const void* dy, const void* x, const double* mean,
                      const double* sigma, int64_t batch, int64_t size, const void* z_k,
                      const void* alpha, double leak, void* dx, void* dz_k, void* dalpha,
                      void* workspace, void* stream) {
  const auto backward = dtype == ASH_HALF    ? Backward<__half>
                        : dtype == ASH_FLOAT ? Backward<float>
                                             : Backward<double>;
  return backward(dy, x, mean, sigma, batch, size, z_k, alpha, leak, dx, dz_k, dalpha, workspace,
                  static_cast<cudaStream_t>(stream));
}

const char* ash_cuda_error_string(int error) {
  return cudaGetErrorString(static_cast<cudaError_t>(error));
}

}  // extern "C"
