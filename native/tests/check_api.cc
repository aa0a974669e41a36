// Holds onnxruntime/api.h against onnxruntime's own header: places of functions, layouts, constants.
// That it compiles is the proof:
//
//     run_check.py api --include DIR      the folder of onnxruntime_c_api.h
#include <onnxruntime_c_api.h>

#include "../onnxruntime/api.h"

namespace ours = ash::ort;

#define ASH_PLACE(function, theirs)                                              \
  static_assert(ours::function::place == offsetof(OrtApi, theirs) / sizeof(void*), \
                #theirs " has another place")
ASH_PLACE(CreateStatus, CreateStatus);
ASH_PLACE(CreateCustomOpDomain, CreateCustomOpDomain);
ASH_PLACE(CustomOpDomainAdd, CustomOpDomain_Add);
ASH_PLACE(AddCustomOpDomain, AddCustomOpDomain);
ASH_PLACE(GetTensorMutableData, GetTensorMutableData);
ASH_PLACE(GetDimensionsCount, GetDimensionsCount);
ASH_PLACE(GetDimensions, GetDimensions);
ASH_PLACE(GetTensorTypeAndShape, GetTensorTypeAndShape);
ASH_PLACE(AllocatorFree, AllocatorFree);
ASH_PLACE(AllocatorGetInfo, AllocatorGetInfo);
ASH_PLACE(KernelInfoGetAttributeString, KernelInfoGetAttribute_string);
ASH_PLACE(KernelContextGetInput, KernelContext_GetInput);
ASH_PLACE(KernelContextGetOutput, KernelContext_GetOutput);
ASH_PLACE(ReleaseTypeAndShape, ReleaseTensorTypeAndShapeInfo);
ASH_PLACE(ReleaseAllocator, ReleaseAllocator);
ASH_PLACE(KernelContextGetGpuStream, KernelContext_GetGPUComputeStream);
ASH_PLACE(KernelInfoGetConstantInput, KernelInfoGetConstantInput_tensor);
ASH_PLACE(ShapeInferContextGetInput, ShapeInferContext_GetInputTypeShape);
ASH_PLACE(ShapeInferContextSetOutput, ShapeInferContext_SetOutputTypeShape);
ASH_PLACE(KernelContextParallelFor, KernelContext_ParallelFor);
ASH_PLACE(KernelContextGetScratchBuffer, KernelContext_GetScratchBuffer);
ASH_PLACE(KernelInfoGetAllocator, KernelInfoGetAllocator);

#define ASH_MEMBER(ours_type, theirs_type, member, theirs)                                     \
  static_assert(offsetof(ours::ours_type, member) == offsetof(theirs_type, theirs),            \
                #theirs_type "::" #theirs " is elsewhere");                                    \
  static_assert(sizeof(ours::ours_type::member) == sizeof(theirs_type::theirs),                \
                #theirs_type "::" #theirs " has another size")
#define ASH_SAME(member) ASH_MEMBER(CustomOp, OrtCustomOp, member, member)
ASH_SAME(version);
ASH_SAME(CreateKernel);
ASH_SAME(GetName);
ASH_SAME(GetExecutionProviderType);
ASH_SAME(GetInputType);
ASH_SAME(GetInputTypeCount);
ASH_SAME(GetOutputType);
ASH_SAME(GetOutputTypeCount);
ASH_SAME(KernelCompute);
ASH_SAME(KernelDestroy);
ASH_SAME(GetInputCharacteristic);
ASH_SAME(GetOutputCharacteristic);
ASH_SAME(GetInputMemoryType);
ASH_SAME(GetVariadicInputMinArity);
ASH_SAME(GetVariadicInputHomogeneity);
ASH_SAME(GetVariadicOutputMinArity);
ASH_SAME(GetVariadicOutputHomogeneity);
ASH_SAME(CreateKernelV2);
ASH_SAME(KernelComputeV2);
ASH_MEMBER(CustomOp, OrtCustomOp, InferOutputShape, InferOutputShapeFn);
ASH_SAME(GetStartVersion);
ASH_SAME(GetEndVersion);
ASH_SAME(GetMayInplace);
ASH_SAME(ReleaseMayInplace);
ASH_SAME(GetAliasMap);
ASH_SAME(ReleaseAliasMap);
ASH_MEMBER(ApiBase, OrtApiBase, GetApi, GetApi);
ASH_MEMBER(ApiBase, OrtApiBase, GetVersionString, GetVersionString);

static_assert(ORT_API_VERSION >= ours::kVersion, "the header is older than the op");
static_assert(int(ORT_FAIL) == ours::kFail && int(ORT_INVALID_ARGUMENT) == ours::kInvalidArgument,
              "error codes differ");
static_assert(int(ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT) == ours::kFloat &&
                  int(ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16) == ours::kFloat16 &&
                  int(ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE) == ours::kDouble,
              "element types differ");
static_assert(int(INPUT_OUTPUT_REQUIRED) == ours::kRequired, "characteristics differ");
static_assert(int(OrtMemTypeDefault) == ours::kDefaultMemory, "memory types differ");
