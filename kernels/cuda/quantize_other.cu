#include "kernels/cuda/quantize_launch.cuh"

QuantizeKernel quantize_overlap(uint32_t span) {
    switch (span) {
    case 64: return kernel_of<Overlap<4, 16>, 2, 24, FREE>();
    case 128: return kernel_of<Overlap<8, 16>, 2, 20, FREE>();
    case 256: return kernel_of<Overlap<8, 32>, 2, 12, FREE>();
    case 512: return kernel_of<Overlap<16, 32>, 2, 8, FREE>();
    case 1024: return kernel_of<Overlap<32, 32>, 1, 8, FREE>();
    default: return QuantizeKernel{};
    }
}

QuantizeKernel quantize_any() { return kernel_of<InMemory, 1, 8, FREE>(); }
