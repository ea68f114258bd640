/* Names of the driver's types, for headers that only mention them. */
#ifndef TQ_SIMT_CUDA_H
#define TQ_SIMT_CUDA_H

#define CUDAAPI
typedef struct CUctx_st *CUcontext;
typedef int CUresult;

#endif
