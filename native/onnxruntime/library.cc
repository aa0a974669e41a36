// What onnxruntime calls when the library is registered with the options of a session.
#include <functional>

#include "op.h"

namespace {

ash::ort::Domain* MakeDomain(const ash::ort::Api* api) {
  ash::ort::Domain* domain;
  ash::ort::Check(ash::ort::CreateCustomOpDomain::Call(api, "ash", &domain));
  ash::ort::AddCpuOps(api, domain);
#ifdef ASH_WITH_CUDA
  ash::ort::AddCudaOps(api, domain);
#endif
  return domain;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) ash::ort::Status* RegisterCustomOps(
    ash::ort::SessionOptions* options, const ash::ort::ApiBase* base) {
  const ash::ort::Api* api = base->GetApi(ash::ort::kVersion);
  if (api == nullptr) {
    return ash::ort::CreateStatus::Call(base->GetApi(1), ash::ort::kFail,
                                        "ASH's op needs onnxruntime 1.18 or later");
  }
  return ash::ort::Guarded(api, [&] {
    // One for all sessions, which may outlive each other; never freed.
    static ash::ort::Domain* const domain = MakeDomain(api);
    ash::ort::Check(ash::ort::AddCustomOpDomain::Call(api, options, domain));
  });
}
