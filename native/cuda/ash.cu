// Two launches forward, three backward: sums over chunks of the samples; then, by blocks that first
// add up the sums of their sample, each element; and backward what is summed over all samples.
//
// tests/emulation.h runs this file on a CPU, where there is no GPU to test it on.
#include "ash.h"

#include "gate.cuh"

#ifdef __CUDACC__
#include <cuda_runtime.h>
#define ASH_LAUNCH(kernel, blocks, threads, stream, ...) \
  kernel<<<blocks, threads, 0, stream>>>(__VA_ARGS__)
#endif

namespace {

constexpr int kThreads = 256;
constexpr int kRun = 8;                           // elements that a thread sums before it goes wider
constexpr int64_t kChunk = 4 * kRun * kThreads;   // elements of a block

struct Sums {
  double first, second;
};

// The sums of all samples' chunks, sample by sample, and each sample's first element.
struct Workspace {
  Sums* chunks;
  double* shifts;
};

int64_t Chunks(int64_t size) { return (size + kChunk - 1) / kChunk; }

Workspace Split(void* workspace, int64_t batch, int64_t size) {
  Sums* chunks = static_cast<Sums*>(workspace);
  return {chunks, reinterpret_cast<double*>(chunks + batch * Chunks(size))};
}

// The sum over the block's threads, given to all of them; always the same tree.
__device__ Sums BlockSum(Sums mine) {
  __shared__ double first[kThreads], second[kThreads];
  const int thread = threadIdx.x;
  __syncthreads();  // a sum before this one has been read
  first[thread] = mine.first;
  second[thread] = mine.second;
  for (int width = kThreads / 2; width > 0; width /= 2) {
    __syncthreads();
    if (thread < width) {
      first[thread] += first[thread + width];
      second[thread] += second[thread + width];
    }
  }
  __syncthreads();
  return {first[0], second[0]};
}

// The sums of a whole sample, from those of its chunks.
__device__ Sums SampleSum(const Sums* chunks, int64_t count) {
  Sums sums = {0, 0};
  for (int64_t i = threadIdx.x; i < count; i += kThreads) {
    sums.first += chunks[i].first;
    sums.second += chunks[i].second;
  }
  return BlockSum(sums);
}

template <typename C>
struct Pair {
  C first, second;
};

// The sums of term(element) -> Pair over the block's chunk, run by run.
template <typename C, typename Term>
__device__ Sums ChunkSum(int64_t begin, int64_t end, const Term& term) {
  Sums sums = {0, 0};
  for (int64_t run = begin + threadIdx.x; run < end; run += kRun * kThreads) {
    Pair<C> pair = {0, 0};
#pragma unroll
    for (int k = 0; k < kRun; ++k) {
      const int64_t i = run + k * kThreads;
      if (i < end) {
        const Pair<C> added = term(i);
        pair.first += added.first;
        pair.second += added.second;
      }
    }
    sums.first += pair.first;
    sums.second += pair.second;
  }
  return BlockSum(sums);
}

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

template <typename T>
__global__ void ForwardElements(const T* x, int64_t size, int64_t chunks,
                                const typename Traits<T>::P* z_k,
                                const typename Traits<T>::P* alpha, double leak, T* y, double* mean,
                                double* sigma, Workspace work) {
  using C = typename Traits<T>::C;
  const int64_t sample = blockIdx.x / chunks, begin = blockIdx.x % chunks * kChunk;
  const int64_t end = begin + kChunk < size ? begin + kChunk : size;
  const Sums sums = SampleSum(work.chunks + sample * chunks, chunks);
  const double shifted = sums.first / size;
  const double variance = sums.second / size - shifted * shifted;
  const double the_mean = work.shifts[sample] + shifted;
  const double the_sigma = variance <= 0 ? 0 : sqrt(variance);  // NaN stays
  if (begin == 0 && threadIdx.x == 0) {
    mean[sample] = the_mean;
    sigma[sample] = the_sigma;
  }
  const Sample made = Sample::Make<T>(the_mean, the_sigma, size, *z_k, *alpha, leak);
  const T* row = x + sample * size;
  T* out = y + sample * size;
  if (made.is_tame) {
    const Gate<C> gate = made.As<C>();
    for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
      const C v = Read<C>(row + i);
      Write(out + i, v * (gate.leak + gate.pass * Open(gate, v).s));
    }
  } else {
    const Gate<double> gate = made.As<double>();
    for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
      const double v = Read<double>(row + i);
      Write(out + i, v * (gate.leak + gate.pass * Open(gate, v).s));
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
  for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    const C v = Read<C>(x + i), g = Read<C>(dy + i);
    const Opened<C> opened = Open(gate, v);
    const C q = g * (v * opened.slope);
    Write(dx + i, g * (gate.leak + gate.pass * opened.s) + gate.pass * gate.slope * q -
                      (narrow_tilt * opened.centred + narrow_offset));
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

template <typename T>
int Forward(const void* x, int64_t batch, int64_t size, const void* z_k, const void* alpha,
            double leak, void* y, double* mean, double* sigma, void* workspace,
            cudaStream_t stream) {
  using P = typename Traits<T>::P;
  const int64_t chunks = Chunks(size), blocks = batch * chunks;
  if (blocks > 0x7fffffff) return cudaErrorInvalidConfiguration;
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
