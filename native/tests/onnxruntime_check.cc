// Runs the op as onnxruntime would, without onnxruntime, whose libraries no sanitizer has seen:
//
//     onnxruntime_check
//
// a table of functions that does what the op asks for; random sizes, every buffer exactly as large as
// it must be; several callers of one kernel at once; errors. Exits with 1 and a line for each case
// that is wrong.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "../cpu/half.h"
#include "../onnxruntime/api.h"

// ---- onnxruntime's side -----------------------------------------------------------------------

namespace ash {
namespace ort {

struct Status {
  ErrorCode code;
  std::string message;
};
struct SessionOptions {
  std::vector<Domain*> domains;
};
struct Domain {
  std::string name;
  std::vector<const CustomOp*> ops;
};
struct KernelInfo {
  std::string leak;
  const Value* constants[2];  // z_k and alpha; nullptr where they are none
};
struct Value {
  std::vector<int64_t> shape;
  size_t item;
  std::unique_ptr<char[]> data;

  Value(const std::vector<int64_t>& shape, size_t item) : shape(shape), item(item) {
    data.reset(new char[bytes()]);
  }
  size_t bytes() const {
    size_t bytes = item;
    for (const int64_t dim : shape) bytes *= dim;
    return bytes;
  }
};
struct TypeAndShape {
  std::vector<int64_t> shape;
};
struct KernelContext {
  std::vector<const Value*> inputs;
  std::unique_ptr<Value> output;
  int threads;
};
struct ShapeInferContext {
  TypeAndShape input;
  const TypeAndShape* output;
};

}  // namespace ort
}  // namespace ash

using namespace ash::ort;

extern "C" Status* RegisterCustomOps(SessionOptions*, const ApiBase*);

namespace {

Status* MakeStatus(ErrorCode code, const char* message) { return new Status{code, message}; }

Status* GetText(const KernelInfo* info, const char* name, char* text, size_t* size) {
  if (std::strcmp(name, "leak") || info->leak.size() + 1 > *size) return MakeStatus(kFail, name);
  std::memcpy(text, info->leak.c_str(), info->leak.size() + 1);
  return nullptr;
}

Status* GetOutput(KernelContext* context, size_t, const int64_t* shape, size_t rank, Value** out) {
  const std::vector<int64_t> wanted(shape, shape + rank);
  context->output.reset(new Value(wanted, context->inputs[0]->item));
  *out = context->output.get();
  return nullptr;
}

Status* ParallelFor(const KernelContext* context, void (*run)(void*, size_t), size_t total, size_t,
                    void* data) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < context->threads; ++thread) {
    threads.emplace_back([=] {
      for (size_t i = thread; i < total; i += context->threads) run(data, i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return nullptr;
}

template <typename F, typename Given>
void Put(Api* api, Given given) {
  const typename F::Pointer function = given;  // of the very signature
  api->functions[F::place] = reinterpret_cast<void*>(function);
}

Api MakeApi() {
  Api api = {};
  Put<CreateStatus>(&api, MakeStatus);
  Put<CreateCustomOpDomain>(&api, [](const char* name, Domain** out) -> Status* {
    *out = new Domain{name, {}};
    return nullptr;
  });
  Put<CustomOpDomainAdd>(&api, [](Domain* domain, const CustomOp* op) -> Status* {
    domain->ops.push_back(op);
    return nullptr;
  });
  Put<AddCustomOpDomain>(&api, [](SessionOptions* options, Domain* domain) -> Status* {
    options->domains.push_back(domain);
    return nullptr;
  });
  Put<GetTensorMutableData>(&api, [](Value* value, void** out) -> Status* {
    *out = value->data.get();
    return nullptr;
  });
  Put<GetTensorTypeAndShape>(&api, [](const Value* value, TypeAndShape** out) -> Status* {
    *out = new TypeAndShape{value->shape};
    return nullptr;
  });
  Put<ReleaseTypeAndShape>(&api, [](TypeAndShape* info) { delete info; });
  Put<GetDimensionsCount>(&api, [](const TypeAndShape* info, size_t* out) -> Status* {
    *out = info->shape.size();
    return nullptr;
  });
  Put<GetDimensions>(&api, [](const TypeAndShape* info, int64_t* out, size_t count) -> Status* {
    std::copy_n(info->shape.begin(), count, out);
    return nullptr;
  });
  Put<KernelInfoGetAttributeString>(&api, GetText);
  Put<KernelInfoGetConstantInput>(
      &api, [](const KernelInfo* info, size_t i, int* is_constant, const Value** out) -> Status* {
        *out = info->constants[i - 1];
        *is_constant = *out != nullptr;
        return nullptr;
      });
  Put<KernelContextGetInput>(
      &api, [](const KernelContext* context, size_t i, const Value** out) -> Status* {
        *out = context->inputs[i];
        return nullptr;
      });
  Put<KernelContextGetOutput>(&api, GetOutput);
  Put<KernelContextParallelFor>(&api, ParallelFor);
  Put<ShapeInferContextGetInput>(
      &api, [](const ShapeInferContext* context, size_t, TypeAndShape** out) -> Status* {
        *out = const_cast<TypeAndShape*>(&context->input);
        return nullptr;
      });
  Put<ShapeInferContextSetOutput>(
      &api, [](const ShapeInferContext* context, size_t, const TypeAndShape* shape) -> Status* {
        const_cast<ShapeInferContext*>(context)->output = shape;
        return nullptr;
      });
  return api;
}

const Api* TheApi() {
  static const Api api = MakeApi();
  return &api;
}

// ---- the checks -------------------------------------------------------------------------------

std::atomic<int> failures{0};

void Hold(const std::string& what, bool holds) {
  if (!holds && ++failures <= 10) std::printf("wrong: %s\n", what.c_str());
}

struct Input {
  ElementType type;
  std::vector<double> values;  // what the elements are, after they were rounded to the type

  Input(ElementType type, const std::vector<double>& wanted, Value* value) : type(type) {
    for (size_t i = 0; i < wanted.size(); ++i) {
      char* to = value->data.get() + i * value->item;
      if (type == kFloat16) {
        const uint16_t bits = ash::half::Narrow(static_cast<float>(wanted[i]));
        std::memcpy(to, &bits, sizeof bits);
      } else if (type == kFloat) {
        const float single = static_cast<float>(wanted[i]);
        std::memcpy(to, &single, sizeof single);
      } else {
        std::memcpy(to, &wanted[i], sizeof wanted[i]);
      }
      values.push_back(Read(type, to));
    }
  }

  static double Read(ElementType type, const char* from) {
    uint16_t bits;
    float single;
    double wide;
    if (type == kFloat16) return std::memcpy(&bits, from, 2), ash::half::Widen(bits);
    if (type == kFloat) return std::memcpy(&single, from, 4), single;
    return std::memcpy(&wide, from, 8), wide;
  }
};

size_t Bytes(ElementType type) { return type == kFloat16 ? 2 : type == kFloat ? 4 : 8; }

std::string ErrorOf(Status* status) {
  const std::unique_ptr<Status> owned(status);
  return status ? status->message : "";
}

// A call of a kernel on random values of a shape; holds y against the formula.
void Run(const CustomOp& op, void* kernel, std::vector<int64_t> shape, double leak, int threads,
         unsigned seed) {
  const ElementType type = op.GetInputType(&op, 0), parameter = op.GetInputType(&op, 1);
  Value x(shape, Bytes(type)), z_k({1}, Bytes(parameter)), alpha({}, Bytes(parameter));
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> wanted(x.bytes() / x.item);
  for (double& value : wanted) value = 1 + 2 * normal(random);
  const Input in(type, wanted, &x);
  const double z = Input(parameter, {0.5}, &z_k).values[0];
  const double a = Input(parameter, {1.25}, &alpha).values[0];
  KernelContext context{{&x, &z_k, &alpha}, nullptr, threads};
  const std::string error = ErrorOf(op.KernelComputeV2(kernel, &context));
  Hold("no error: " + error, error.empty());
  const int64_t batch = shape[0], size = batch ? wanted.size() / batch : 0;
  const double tolerance = type == kFloat16 ? 2e-3 : type == kFloat ? 2e-6 : 1e-13;
  for (int64_t sample = 0; sample < batch; ++sample) {
    const double* row = in.values.data() + sample * size;
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < size; ++i) mean += row[i] / size;
    for (int64_t i = 0; i < size; ++i) variance += (row[i] - mean) * (row[i] - mean) / size;
    for (int64_t i = 0; i < size; ++i) {
      const double u = 2 * a * (row[i] - mean - z * std::sqrt(variance));
      const double expected = row[i] * (leak + (1 - leak) / (1 + std::exp(-u)));
      const double y = Input::Read(type, context.output->data.get() + (sample * size + i) * x.item);
      Hold("y", std::abs(y - expected) <= tolerance * std::abs(row[i]) + 1e-7 * (type == kFloat16));
    }
  }
}

void CheckOp(const CustomOp& op) {
  Hold("name", std::string(op.GetName(&op)) == "Ash");
  for (const char* text : {"0", "0.25"}) {
    const KernelInfo info{text, {}};
    void* kernel = nullptr;
    Hold("a kernel", op.CreateKernelV2(&op, TheApi(), &info, &kernel) == nullptr && kernel);
    unsigned seed = 0;
    for (const std::vector<int64_t>& shape : std::vector<std::vector<int64_t>>{
             {3, 7}, {1, 1}, {2, 20001}, {40, 333}, {0, 5}, {2, 0, 3}, {1, 70000}, {2, 3, 4, 5}}) {
      Run(op, kernel, shape, std::stod(text), 3, ++seed);
    }
    std::vector<std::thread> callers;
    for (unsigned caller = 0; caller < 4; ++caller) {
      callers.emplace_back([&, caller] { Run(op, kernel, {2, 20001}, std::stod(text), 2, caller); });
    }
    for (std::thread& caller : callers) caller.join();
    // What a graph may have and an op must refuse.
    Value flat({3}, Bytes(op.GetInputType(&op, 0))), two({2}, Bytes(op.GetInputType(&op, 1)));
    Value map({2, 3}, flat.item), one({1}, two.item);
    KernelContext low{{&flat, &one, &one}, nullptr, 1}, many{{&map, &two, &one}, nullptr, 1};
    Hold("rank", ErrorOf(op.KernelComputeV2(kernel, &low)).find("[3]") != std::string::npos);
    Hold("z_k", ErrorOf(op.KernelComputeV2(kernel, &many)).find("[2] and [1]") != std::string::npos);
    op.KernelDestroy(kernel);
    const KernelInfo known{text, {&one, &one}}, wrong{text, {&one, &two}};
    Hold("constants", !op.CreateKernelV2(&op, TheApi(), &known, &kernel));
    Run(op, kernel, {3, 7}, std::stod(text), 1, 0);
    op.KernelDestroy(kernel);
    Hold("wrong constants", ErrorOf(op.CreateKernelV2(&op, TheApi(), &wrong, &kernel))
                                    .find("[1] and [2]") != std::string::npos);
  }
  for (const std::string text : {"1", "nan", "", "0.5x"}) {
    const KernelInfo info{text, {}};
    void* kernel = nullptr;
    const std::string error = ErrorOf(op.CreateKernelV2(&op, TheApi(), &info, &kernel));
    Hold("leak", error.find("got '" + text + "'") != std::string::npos);
  }
  ShapeInferContext shapes{{{1, 2}}, nullptr};
  Hold("shape", !op.InferOutputShape(&op, &shapes) && shapes.output == &shapes.input);
  int *inputs, *outputs;
  Hold("in place", op.GetMayInplace(&inputs, &outputs) == 1 && !*inputs && !*outputs);
  op.ReleaseMayInplace(inputs, outputs);
}

// Every half: exact there and back, and to the nearest, ties to even, between neighbours.
void CheckHalf() {
  const auto value = [](uint16_t bits) { return ash::half::Widen(bits); };
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const uint16_t half = static_cast<uint16_t>(bits), size = half & 0x7fff;
    const int exponent = size >> 10, mantissa = size & 0x3ff;
    const double sign = half & 0x8000 ? -1 : 1;
    if (exponent == 31) {
      Hold("infinity or NaN", mantissa ? std::isnan(value(half)) : value(half) == sign * INFINITY);
      Hold("infinity or NaN again", std::isnan(value(half))
                                        ? std::isnan(value(ash::half::Narrow(value(half))))
                                        : ash::half::Narrow(value(half)) == half);
      continue;
    }
    const double expected = sign * (exponent ? std::ldexp(1024 + mantissa, exponent - 25)
                                             : std::ldexp(mantissa, -24));
    Hold("a half's value", value(half) == expected && std::signbit(value(half)) == (sign < 0));
    Hold("a half again", ash::half::Narrow(value(half)) == half);
    if (size == 0x7bff) continue;
    const float middle = (value(half) + value(half + 1)) / 2;
    Hold("a tie", ash::half::Narrow(middle) == (half & 1 ? half + 1 : half));
    Hold("below it", ash::half::Narrow(std::nextafter(middle, value(half))) == half);
    Hold("above it", ash::half::Narrow(std::nextafter(middle, value(half + 1))) == half + 1);
  }
  Hold("too large", ash::half::Narrow(1e30f) == 0x7bff && ash::half::Narrow(-65520.f) == 0xfbff);
}

}  // namespace

int main() {
  CheckHalf();
  static const ApiBase base = {[](uint32_t version) -> const Api* {
                                 return version <= kVersion ? TheApi() : nullptr;
                               },
                               [] { return "check"; }};
  static const ApiBase older = {[](uint32_t version) -> const Api* {
                                  return version < kVersion ? TheApi() : nullptr;
                                },
                                [] { return "older"; }};
  SessionOptions options, again, refused;
  Hold("registered", !RegisterCustomOps(&options, &base) && !RegisterCustomOps(&again, &base));
  Hold("one domain for all", options.domains == again.domains && options.domains.size() == 1);
  Hold("an older onnxruntime", ErrorOf(RegisterCustomOps(&refused, &older)).find("1.18") !=
                                   std::string::npos && refused.domains.empty());
  const Domain& domain = *options.domains.at(0);
  Hold("the domain", domain.name == "ash" && domain.ops.size() == 3);
  for (const CustomOp* op : domain.ops) CheckOp(*op);
  std::printf("onnxruntime's op: %zu dtypes, %d wrong\n", domain.ops.size(), failures.load());
  return failures != 0;
}
