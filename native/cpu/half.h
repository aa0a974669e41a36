// IEEE half precision by its bits, for the hosts of the kernels, which compute it in float.
#ifndef ASH_NATIVE_CPU_HALF_H_
#define ASH_NATIVE_CPU_HALF_H_

#include <cstdint>
#include <cstring>

namespace ash {
namespace half {

inline float FromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline uint32_t Bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

// Exact. No step has a subnormal float, which a host may have set the processor to flush to 0.
inline float Widen(uint16_t half) {
  constexpr uint32_t kBias = 112u << 23;  // between the exponents of the two formats
  const uint32_t sign = uint32_t(half & 0x8000u) << 16, shifted = uint32_t(half & 0x7fffu) << 13;
  const uint32_t exponent = shifted & 0x0f800000u;
  uint32_t bits = shifted + kBias;
  if (exponent == 0x0f800000u) bits += kBias;  // infinity and NaN
  if (exponent == 0) bits = Bits(FromBits(bits + (1u << 23)) - FromBits(113u << 23));
  return FromBits(sign | bits);
}

// To the nearest, ties to even; what is finite saturates instead of overflowing.
inline uint16_t Narrow(float value) {
  constexpr uint32_t kInfinity = 0x7f800000u, kLargest = 0x477fe000u;  // of float; 65504
  const uint32_t bits = Bits(value), sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
  uint32_t half = (size - (112u << 23) + 0xfffu + (size >> 13 & 1u)) >> 13;
  if (size < 113u << 23) half = Bits(FromBits(size) + 0.5f) - Bits(0.5f);
  if (size > kLargest) half = 0x7bffu;
  if (size >= kInfinity) half = size > kInfinity ? 0x7e00u : 0x7c00u;
  return static_cast<uint16_t>(sign | half);
}

inline void Widen(const uint16_t* from, int64_t begin, int64_t end, float* to) {
  for (int64_t i = begin; i < end; ++i) to[i] = Widen(from[i]);
}

inline void Narrow(const float* from, int64_t begin, int64_t end, uint16_t* to) {
  for (int64_t i = begin; i < end; ++i) to[i] = Narrow(from[i]);
}

}  // namespace half
}  // namespace ash

#endif  // ASH_NATIVE_CPU_HALF_H_
