// The op on any device: its schema, what comes in checked, what goes out made; the device computes.
//
//     Ash(x: T [N, ...], z_k: P, alpha: P; leak: a number in [0, 1), as text) -> y: T [N, ...]
//
// in the domain "ash", version 1. z_k and alpha have one element each; P is float beside a half x,
// else T. One CustomOp a device and dtype: onnxruntime makes one schema of those of a name.
#ifndef ASH_NATIVE_ONNXRUNTIME_OP_H_
#define ASH_NATIVE_ONNXRUNTIME_OP_H_

#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "api.h"

namespace ash {
namespace ort {

struct Half {
  uint16_t bits;
};

template <typename T>
struct Dtype;
template <>
struct Dtype<Half> {
  static constexpr ElementType value = kFloat16;
  using Parameter = float;
};
template <>
struct Dtype<float> {
  static constexpr ElementType value = kFloat;
  using Parameter = float;
};
template <>
struct Dtype<double> {
  static constexpr ElementType value = kDouble;
  using Parameter = double;
};

// A failure of onnxruntime's own, to be given back to it.
struct Failure {
  Status* status;
};

inline void Check(Status* status) {
  if (status) throw Failure{status};
}

// Runs a function between onnxruntime and us, which no exception may cross.
template <typename Run>
Status* Guarded(const Api* api, const Run& run) noexcept {
  try {
    run();
    return nullptr;
  } catch (const Failure& failure) {
    return failure.status;
  } catch (const std::invalid_argument& error) {
    return CreateStatus::Call(api, kInvalidArgument, error.what());
  } catch (const std::exception& error) {
    return CreateStatus::Call(api, kFail, error.what());
  } catch (...) {
    return CreateStatus::Call(api, kFail, "ASH: an unknown exception");
  }
}

inline std::vector<int64_t> ShapeOf(const Api* api, const Value* value) {
  TypeAndShape* info;
  Check(GetTensorTypeAndShape::Call(api, value, &info));
  const std::unique_ptr<TypeAndShape, std::function<void(TypeAndShape*)>> owned(
      info, [api](TypeAndShape* it) { ReleaseTypeAndShape::Call(api, it); });
  size_t rank;
  Check(GetDimensionsCount::Call(api, info, &rank));
  std::vector<int64_t> shape(rank);
  Check(GetDimensions::Call(api, info, shape.data(), rank));
  return shape;
}

inline std::string Text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? "," : "") + std::to_string(shape[i]);
  return text + "]";
}

inline int64_t Elements(const std::vector<int64_t>& shape, size_t first = 0) {
  int64_t elements = 1;
  for (size_t i = first; i < shape.size(); ++i) elements *= shape[i];
  return elements;
}

// The memory of an input. onnxruntime has no function for it that is const.
template <typename T>
const T* DataOf(const Api* api, const Value* value) {
  void* data;
  Check(GetTensorMutableData::Call(api, const_cast<Value*>(value), &data));
  return static_cast<const T*>(data);
}

inline double LeakOf(const Api* api, const KernelInfo* info) {
  char text[64];
  size_t size = sizeof text;
  Check(KernelInfoGetAttributeString::Call(api, info, "leak", text, &size));
  char* end;
  const double leak = std::strtod(text, &end);
  if (end == text || *end || !(leak >= 0 && leak < 1)) {
    throw std::invalid_argument("ASH: leak must be a number in [0, 1), got '" +
                                std::string(text) + "'");
  }
  return leak;
}

// Raises std::invalid_argument unless z_k and alpha have one element each.
inline void CheckParameters(const Api* api, const Value* z_k, const Value* alpha) {
  const std::vector<int64_t> one = ShapeOf(api, z_k), other = ShapeOf(api, alpha);
  if (Elements(one) != 1 || Elements(other) != 1) {
    throw std::invalid_argument("z_k and alpha must have one element each; got shapes " +
                                Text(one) + " and " + Text(other));
  }
}

// Whether z_k and alpha are constants of the model, which need no check in each call. Checks them.
inline bool HasConstantParameters(const Api* api, const KernelInfo* info) {
  const Value* values[2];
  for (size_t i = 0; i < 2; ++i) {
    int is_constant = 0;
    Check(KernelInfoGetConstantInput::Call(api, info, 1 + i, &is_constant, &values[i]));
    if (!is_constant) return false;
  }
  CheckParameters(api, values[0], values[1]);
  return true;
}

// A call of the op. z_k and alpha are where the device has its memory.
template <typename T>
struct Call {
  const T* x;
  int64_t batch, size;
  const typename Dtype<T>::Parameter *z_k, *alpha;
  double leak;
  T* y;  // may be x
};

// Device: a class with a constructor (const Api*, const KernelInfo*), a constant kProvider, which is
// nullptr for the CPU, and void Forward(KernelContext*, const Call<T>&) const for each T.
template <typename Device, typename T>
class Kernel {
 public:
  Kernel(const Api* api, const KernelInfo* info)
      : api_(api), leak_(LeakOf(api, info)), is_checked_(HasConstantParameters(api, info)),
        device_(api, info) {}

  Status* Compute(KernelContext* context) const noexcept {
    return Guarded(api_, [&] {
      using P = typename Dtype<T>::Parameter;
      const Value *x, *z_k, *alpha;
      Check(KernelContextGetInput::Call(api_, context, 0, &x));
      Check(KernelContextGetInput::Call(api_, context, 1, &z_k));
      Check(KernelContextGetInput::Call(api_, context, 2, &alpha));
      const std::vector<int64_t> shape = ShapeOf(api_, x);
      if (shape.size() < 2) {
        throw std::invalid_argument("ASH needs rank 2 or more, batch first; got shape " +
                                    Text(shape));
      }
      if (!is_checked_) CheckParameters(api_, z_k, alpha);
      Value* y;
      Check(KernelContextGetOutput::Call(api_, context, 0, shape.data(), shape.size(), &y));
      if (Elements(shape) == 0) return;
      device_.Forward(context, Call<T>{DataOf<T>(api_, x), shape[0], Elements(shape, 1),
                                       DataOf<P>(api_, z_k), DataOf<P>(api_, alpha), leak_,
                                       const_cast<T*>(DataOf<T>(api_, y))});
    });
  }

 private:
  const Api* const api_;
  const double leak_;
  const bool is_checked_;
  const Device device_;
};

template <typename Device, typename T>
struct AshOp : CustomOp {
  using K = Kernel<Device, T>;

  explicit AshOp(const Api* api) : CustomOp(), api(api) {
    version = kVersion;
    GetName = [](const CustomOp*) { return "Ash"; };
    GetExecutionProviderType = [](const CustomOp*) { return Device::kProvider; };
    GetInputTypeCount = [](const CustomOp*) -> size_t { return 3; };
    GetOutputTypeCount = [](const CustomOp*) -> size_t { return 1; };
    GetInputType = [](const CustomOp*, size_t i) {
      return i == 0 ? Dtype<T>::value : Dtype<typename Dtype<T>::Parameter>::value;
    };
    GetOutputType = [](const CustomOp*, size_t) { return Dtype<T>::value; };
    GetInputCharacteristic = [](const CustomOp*, size_t) { return kRequired; };
    GetOutputCharacteristic = GetInputCharacteristic;
    GetInputMemoryType = [](const CustomOp*, size_t) { return kDefaultMemory; };
    GetStartVersion = [](const CustomOp*) { return 1; };
    GetEndVersion = GetStartVersion;
    CreateKernelV2 = [](const CustomOp*, const Api* api, const KernelInfo* info, void** kernel) {
      return Guarded(api, [&] { *kernel = new K(api, info); });
    };
    KernelComputeV2 = [](void* kernel, KernelContext* context) {
      return static_cast<const K*>(kernel)->Compute(context);
    };
    KernelDestroy = [](void* kernel) { delete static_cast<K*>(kernel); };
    InferOutputShape = [](const CustomOp* op, ShapeInferContext* context) {
      const Api* api = static_cast<const AshOp*>(op)->api;
      return Guarded(api, [&] {
        TypeAndShape* shape;  // belongs to the context
        Check(ShapeInferContextGetInput::Call(api, context, 0, &shape));
        Check(ShapeInferContextSetOutput::Call(api, context, 0, shape));
      });
    };
    // y may be written over x, where nobody else reads x.
    GetMayInplace = [](int** inputs, int** outputs) -> size_t {
      *inputs = new int[1]{0};
      *outputs = new int[1]{0};
      return 1;
    };
    ReleaseMayInplace = [](int* inputs, int* outputs) {
      delete[] inputs;
      delete[] outputs;
    };
  }

  const Api* const api;
};

// Adds the ops of a device for all dtypes to a domain; they live as long as the process.
template <typename Device>
void AddOps(const Api* api, Domain* domain) {
  static AshOp<Device, Half> half(api);
  static AshOp<Device, float> single(api);
  static AshOp<Device, double> wide(api);
  for (const CustomOp* op : {static_cast<CustomOp*>(&half), static_cast<CustomOp*>(&single),
                             static_cast<CustomOp*>(&wide)}) {
    Check(CustomOpDomainAdd::Call(api, domain, op));
  }
}

void AddCpuOps(const Api* api, Domain* domain);
void AddCudaOps(const Api* api, Domain* domain);

}  // namespace ort
}  // namespace ash

#endif  // ASH_NATIVE_ONNXRUNTIME_OP_H_
