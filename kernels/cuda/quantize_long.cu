#include "kernels/cuda/quantize_launch.cuh"

/* Beyond 1,536 dimensions registers are for one row a warp. */
QuantizeKernel quantize_long(uint32_t parts, uint32_t span) {
    switch (parts * span) {
    case 1536: return kernel_of<Aligned<3, 32, 16>, 2, 12, BY_ROUND>();
    case 2048: return kernel_of<Aligned<1, 64, 32>, 1, 12, BY_ROUND>();
    case 3072: return kernel_of<Aligned<3, 32, 32>, 1, 11, BY_ROUND>();
    case 4096: return kernel_of<Aligned<1, 128, 32>, 1, 7, BY_ROUND>();
    default: return QuantizeKernel{};
    }
}
