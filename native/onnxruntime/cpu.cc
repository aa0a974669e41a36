// The op on the CPU: onnxruntime's tensors and threads around cpu/ash.h.
#include <algorithm>
#include <functional>
#include <thread>

#include "cpu/ash.h"
#include "cpu/half.h"
#include "op.h"

namespace ash {
namespace ort {
namespace {

// Nanoseconds of work for which it pays to wake another thread.
constexpr int64_t kWorthAThread = 4000;

// onnxruntime's threads. It does not say how many a session has: where it has fewer than the
// machine, they take several blocks each.
class Threads {
 public:
  Threads(const Api* api, KernelContext* context)
      : api_(api), context_(context), threads_(OfTheMachine()) {}

  Executor executor() const {
    return {threads_, [this](int64_t count, int64_t cost, const Executor::Task& task) {
              Run(count, cost, task);
            }};
  }

 private:
  struct Work {
    int64_t count, blocks;
    const Executor::Task* task;
  };

  // Asked once: the system takes longer to answer than a small map takes to compute.
  static int OfTheMachine() {
    static const int threads = std::max(1u, std::thread::hardware_concurrency());
    return threads;
  }

  void Run(int64_t count, int64_t cost, const Executor::Task& task) const {
    const int64_t worth = std::max<int64_t>(1, double(count) * cost / kWorthAThread);
    Work work{count, std::min({count, worth, int64_t(threads_)}), &task};
    if (work.blocks <= 1) return task(0, count);
    Check(KernelContextParallelFor::Call(
        api_, context_,
        [](void* data, size_t block) {
          const Work& w = *static_cast<const Work*>(data);
          (*w.task)(w.count * block / w.blocks, w.count * (block + 1) / w.blocks);
        },
        work.blocks, 0, &work));
  }

  const Api* const api_;
  KernelContext* const context_;
  const int threads_;
};

class OnCpu {
 public:
  static constexpr const char* kProvider = nullptr;

  OnCpu(const Api* api, const KernelInfo*) : api_(api) {}

  template <typename T>
  void Forward(KernelContext* context, const Call<T>& call) const {
    Run(call, Threads(api_, context).executor(), call.x, call.y);
  }

  void Forward(KernelContext* context, const Call<Half>& call) const {
    const Threads threads(api_, context);
    const Executor executor = threads.executor();
    const int64_t elements = call.batch * call.size;
    const std::unique_ptr<float[]> floats(new float[elements]);
    const auto* from = reinterpret_cast<const uint16_t*>(call.x);
    auto* to = reinterpret_cast<uint16_t*>(call.y);
    executor.parallel_for(elements, 1, [&](int64_t begin, int64_t end) {
      half::Widen(from, begin, end, floats.get());
    });
    Run(call, executor, floats.get(), floats.get());
    executor.parallel_for(elements, 1, [&](int64_t begin, int64_t end) {
      half::Narrow(floats.get(), begin, end, to);
    });
  }

 private:
  template <typename T, typename Computed>
  static void Run(const Call<T>& call, const Executor& executor, const Computed* x, Computed* y) {
    std::vector<double> statistics(2 * call.batch);
    ash::Forward(x, call.batch, call.size, Parameters{*call.z_k, *call.alpha, call.leak}, executor,
                 y, statistics.data(), statistics.data() + call.batch);
  }

  const Api* const api_;
};

}  // namespace

void AddCpuOps(const Api* api, Domain* domain) { AddOps<OnCpu>(api, domain); }

}  // namespace ort
}  // namespace ash
