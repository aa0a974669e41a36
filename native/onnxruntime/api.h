// What the op needs of onnxruntime's C API, version 18 (onnxruntime 1.18 and later).
//
// onnxruntime promises that its C API only grows: a function keeps its place in the table, and a
// library that asks for version 18 runs under every later onnxruntime. So the places are facts like
// those of a file format, and the op builds wherever there is a C++ compiler, without onnxruntime's
// own headers, which few systems package. tests/check_api.cc holds all that is here against them.
#ifndef ASH_NATIVE_ONNXRUNTIME_API_H_
#define ASH_NATIVE_ONNXRUNTIME_API_H_

#include <cstddef>
#include <cstdint>

namespace ash {
namespace ort {

constexpr uint32_t kVersion = 18;

// Opaque things, by pointer alone.
struct Status;
struct SessionOptions;
struct Domain;
struct KernelInfo;
struct KernelContext;
struct ShapeInferContext;
struct TypeAndShape;
struct Value;
struct MemoryInfo;
struct Allocator;

enum ErrorCode { kFail = 1, kInvalidArgument = 2 };
enum ElementType { kFloat = 1, kFloat16 = 10, kDouble = 11 };
enum Characteristic { kRequired = 0 };
enum MemoryType { kDefaultMemory = 0 };

// The table of functions, by their places in it.
struct Api {
  void* functions[279];
};

template <size_t kPlace, typename Signature>
struct Function;

template <size_t kPlace, typename Result, typename... Arguments>
struct Function<kPlace, Result(Arguments...)> {
  static constexpr size_t place = kPlace;
  using Pointer = Result (*)(Arguments...);
  static Result Call(const Api* api, Arguments... arguments) {
    return reinterpret_cast<Pointer>(api->functions[kPlace])(arguments...);
  }
};

using CreateStatus = Function<0, Status*(ErrorCode, const char* message)>;
using CreateCustomOpDomain = Function<26, Status*(const char* name, Domain**)>;
using CustomOpDomainAdd = Function<27, Status*(Domain*, const struct CustomOp*)>;
using AddCustomOpDomain = Function<28, Status*(SessionOptions*, Domain*)>;
using GetTensorMutableData = Function<51, Status*(Value*, void**)>;
using GetDimensionsCount = Function<61, Status*(const TypeAndShape*, size_t*)>;
using GetDimensions = Function<62, Status*(const TypeAndShape*, int64_t*, size_t count)>;
using GetTensorTypeAndShape = Function<65, Status*(const Value*, TypeAndShape**)>;
using AllocatorFree = Function<76, Status*(Allocator*, void*)>;
using AllocatorGetInfo = Function<77, Status*(const Allocator*, const MemoryInfo**)>;
using KernelInfoGetAttributeString =
    Function<87, Status*(const KernelInfo*, const char* name, char* text, size_t* size)>;
using KernelContextGetInput = Function<90, Status*(const KernelContext*, size_t, const Value**)>;
using KernelContextGetOutput =
    Function<91, Status*(KernelContext*, size_t, const int64_t* shape, size_t rank, Value**)>;
using ReleaseTypeAndShape = Function<99, void(TypeAndShape*)>;
using ReleaseAllocator = Function<132, void(Allocator*)>;
using KernelContextGetGpuStream = Function<193, Status*(const KernelContext*, void**)>;
using KernelInfoGetConstantInput =
    Function<249, Status*(const KernelInfo*, size_t, int* is_constant, const Value**)>;
using ShapeInferContextGetInput =
    Function<268, Status*(const ShapeInferContext*, size_t, TypeAndShape**)>;
using ShapeInferContextSetOutput =
    Function<270, Status*(const ShapeInferContext*, size_t, const TypeAndShape*)>;
using KernelContextParallelFor =
    Function<274, Status*(const KernelContext*, void (*run)(void*, size_t), size_t total,
                          size_t batches, void* data)>;
using KernelContextGetScratchBuffer =
    Function<277, Status*(const KernelContext*, const MemoryInfo*, size_t bytes, void**)>;
using KernelInfoGetAllocator = Function<278, Status*(const KernelInfo*, MemoryType, Allocator**)>;

struct ApiBase {
  const Api* (*GetApi)(uint32_t version);  // nullptr where this onnxruntime is older
  const char* (*GetVersionString)();
};

// A custom op, as onnxruntime is told of it.
struct CustomOp {
  uint32_t version;
  void* (*CreateKernel)(const CustomOp*, const Api*, const KernelInfo*);
  const char* (*GetName)(const CustomOp*);
  const char* (*GetExecutionProviderType)(const CustomOp*);
  ElementType (*GetInputType)(const CustomOp*, size_t);
  size_t (*GetInputTypeCount)(const CustomOp*);
  ElementType (*GetOutputType)(const CustomOp*, size_t);
  size_t (*GetOutputTypeCount)(const CustomOp*);
  void (*KernelCompute)(void* kernel, KernelContext*);
  void (*KernelDestroy)(void* kernel);
  Characteristic (*GetInputCharacteristic)(const CustomOp*, size_t);
  Characteristic (*GetOutputCharacteristic)(const CustomOp*, size_t);
  MemoryType (*GetInputMemoryType)(const CustomOp*, size_t);
  int (*GetVariadicInputMinArity)(const CustomOp*);
  int (*GetVariadicInputHomogeneity)(const CustomOp*);
  int (*GetVariadicOutputMinArity)(const CustomOp*);
  int (*GetVariadicOutputHomogeneity)(const CustomOp*);
  Status* (*CreateKernelV2)(const CustomOp*, const Api*, const KernelInfo*, void** kernel);
  Status* (*KernelComputeV2)(void* kernel, KernelContext*);
  Status* (*InferOutputShape)(const CustomOp*, ShapeInferContext*);
  int (*GetStartVersion)(const CustomOp*);
  int (*GetEndVersion)(const CustomOp*);
  size_t (*GetMayInplace)(int** inputs, int** outputs);
  void (*ReleaseMayInplace)(int* inputs, int* outputs);
  size_t (*GetAliasMap)(int** inputs, int** outputs);
  void (*ReleaseAliasMap)(int* inputs, int* outputs);
};

}  // namespace ort
}  // namespace ash

#endif  // ASH_NATIVE_ONNXRUNTIME_API_H_
