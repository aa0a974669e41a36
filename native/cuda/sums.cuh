// Sums over the samples of a tensor by blocks of threads, in an order that depends on its shape alone.
#ifndef ASH_NATIVE_CUDA_SUMS_CUH_
#define ASH_NATIVE_CUDA_SUMS_CUH_

#include <stdint.h>

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

}  // namespace

#endif  // ASH_NATIVE_CUDA_SUMS_CUH_
