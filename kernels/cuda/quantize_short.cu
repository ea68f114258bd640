#include "kernels/cuda/quantize_launch.cuh"

QuantizeKernel quantize_short(uint32_t parts, uint32_t span) {
    switch (parts * span) {
    case 128: return kernel_of<Aligned<1, 8, 16>, 2, 24, FREE>();
    case 256: return kernel_of<Aligned<1, 16, 16>, 2, 20, FREE>();
    case 384: return kernel_of<Aligned<3, 8, 16>, 2, 20, FREE>();
    case 512: return kernel_of<Aligned<1, 32, 16>, 2, 16, BY_STEP>();
    case 768: return kernel_of<Aligned<3, 16, 16>, 2, 16, BY_STEP>();
    case 1024: return kernel_of<Aligned<1, 64, 16>, 2, 12, BY_ROUND>();
    default: return QuantizeKernel{};
    }
}
