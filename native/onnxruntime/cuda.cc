// The op on the GPU: onnxruntime's tensors, stream and memory around cuda/ash.h.
#include <functional>

#include "cuda/ash.h"
#include "op.h"

namespace ash {
namespace ort {
namespace {

template <typename T>
constexpr AshDtype CudaDtype() {
  return sizeof(T) == 2 ? ASH_HALF : sizeof(T) == 4 ? ASH_FLOAT : ASH_DOUBLE;
}

class OnCuda {
 public:
  static constexpr const char* kProvider = "CUDAExecutionProvider";

  OnCuda(const Api* api, const KernelInfo* info) : api_(api) {
    Allocator* allocator;
    Check(KernelInfoGetAllocator::Call(api, info, kDefaultMemory, &allocator));
    allocator_.reset(allocator, [api](Allocator* it) { ReleaseAllocator::Call(api, it); });
  }

  template <typename T>
  void Forward(KernelContext* context, const Call<T>& call) const {
    void* stream;
    Check(KernelContextGetGpuStream::Call(api_, context, &stream));
    // Of the stream: what is freed here is given only to kernels that are queued after ours.
    const MemoryInfo* where;
    Check(AllocatorGetInfo::Call(api_, allocator_.get(), &where));
    const size_t statistics = 2 * call.batch * sizeof(double);
    void* memory;
    Check(KernelContextGetScratchBuffer::Call(
        api_, context, where, statistics + ash_cuda_workspace_bytes(call.batch, call.size),
        &memory));
    const std::unique_ptr<void, std::function<void(void*)>> owned(memory, [this](void* it) {
      AllocatorFree::Call(api_, allocator_.get(), it);
    });
    double* mean = static_cast<double*>(memory);
    const int error = ash_cuda_forward(
        CudaDtype<T>(), call.x, call.batch, call.size, call.z_k, call.alpha, call.leak, call.y,
        mean, mean + call.batch, static_cast<char*>(memory) + statistics, stream);
    if (error) {
      throw std::runtime_error(std::string("ASH on the GPU: ") + ash_cuda_error_string(error));
    }
  }

 private:
  const Api* const api_;
  std::shared_ptr<Allocator> allocator_;
};

}  // namespace

void AddCudaOps(const Api* api, Domain* domain) { AddOps<OnCuda>(api, domain); }

}  // namespace ort
}  // namespace ash
