// Element-wise functions. Unit strides have loops of their own, which the compiler vectorises.

#include <math.h>

#include "Accelerate.h"
#include "cpu_versions.h"

FOR_EACH_CPU void vDSP_ctoz(const DSPComplex *c, vDSP_Stride c_stride, const DSPSplitComplex *z,
                            vDSP_Stride z_stride, vDSP_Length n) {
  const float *interleaved = (const float *)c;
  float *real = z->realp, *imag = z->imagp;
  if (c_stride == 2 && z_stride == 1) {
    for (vDSP_Length i = 0; i < n; ++i) {
      real[i] = interleaved[2 * i];
      imag[i] = interleaved[2 * i + 1];
    }
    return;
  }
  for (vDSP_Stride i = 0; i < (vDSP_Stride)n; ++i) {
    real[i * z_stride] = interleaved[i * c_stride];
    imag[i * z_stride] = interleaved[i * c_stride + 1];
  }
}

FOR_EACH_CPU void vDSP_ztoc(const DSPSplitComplex *z, vDSP_Stride z_stride, DSPComplex *c, vDSP_Stride c_stride,
                            vDSP_Length n) {
  const float *real = z->realp, *imag = z->imagp;
  float *interleaved = (float *)c;
  if (c_stride == 2 && z_stride == 1) {
    for (vDSP_Length i = 0; i < n; ++i) {
      interleaved[2 * i] = real[i];
      interleaved[2 * i + 1] = imag[i];
    }
    return;
  }
  for (vDSP_Stride i = 0; i < (vDSP_Stride)n; ++i) {
    interleaved[i * c_stride] = real[i * z_stride];
    interleaved[i * c_stride + 1] = imag[i * z_stride];
  }
}

FOR_EACH_CPU void vDSP_vmul(const float *a, vDSP_Stride a_stride, const float *b, vDSP_Stride b_stride, float *c,
                            vDSP_Stride c_stride, vDSP_Length n) {
  if (a_stride == 1 && b_stride == 1 && c_stride == 1) {
    for (vDSP_Length i = 0; i < n; ++i) c[i] = a[i] * b[i];
    return;
  }
  for (vDSP_Stride i = 0; i < (vDSP_Stride)n; ++i) c[i * c_stride] = a[i * a_stride] * b[i * b_stride];
}

FOR_EACH_CPU void vDSP_vadd(const float *a, vDSP_Stride a_stride, const float *b, vDSP_Stride b_stride, float *c,
                            vDSP_Stride c_stride, vDSP_Length n) {
  if (a_stride == 1 && b_stride == 1 && c_stride == 1) {
    for (vDSP_Length i = 0; i < n; ++i) c[i] = a[i] + b[i];
    return;
  }
  for (vDSP_Stride i = 0; i < (vDSP_Stride)n; ++i) c[i * c_stride] = a[i * a_stride] + b[i * b_stride];
}

FOR_EACH_CPU void vDSP_vdiv(const float *b, vDSP_Stride b_stride, const float *a, vDSP_Stride a_stride, float *c,
                            vDSP_Stride c_stride, vDSP_Length n) {
  if (a_stride == 1 && b_stride == 1 && c_stride == 1) {
    for (vDSP_Length i = 0; i < n; ++i) c[i] = a[i] / b[i];
    return;
  }
  for (vDSP_Stride i = 0; i < (vDSP_Stride)n; ++i) c[i * c_stride] = a[i * a_stride] / b[i * b_stride];
}

FOR_EACH_CPU void vDSP_vma(const float *a, vDSP_Stride a_stride, const float *b, vDSP_Stride b_stride,
                           const float *c, vDSP_Stride c_stride, float *d, vDSP_Stride d_stride, vDSP_Length n) {
  if (a_stride == 1 && b_stride == 1 && c_stride == 1 && d_stride == 1) {
    for (vDSP_Length i = 0; i < n; ++i) d[i] = a[i] * b[i] + c[i];
    return;
  }
  for (vDSP_Stride i = 0; i < (vDSP_Stride)n; ++i)
    d[i * d_stride] = a[i * a_stride] * b[i * b_stride] + c[i * c_stride];
}

FOR_EACH_CPU void vDSP_svemg(const float *a, vDSP_Stride a_stride, float *c, vDSP_Length n) {
  // Partial sums that do not wait for each other.
  enum { LANES = 32 };
  float sums[LANES] = {0};
  vDSP_Length done = 0;
  if (a_stride == 1) {
    for (; done + LANES <= n; done += LANES)
      for (int lane = 0; lane < LANES; ++lane) sums[lane] += fabsf(a[done + (vDSP_Length)lane]);
  }
  float sum = 0;
  for (; done < n; ++done) sum += fabsf(a[(vDSP_Stride)done * a_stride]);
  for (int lane = 0; lane < LANES; ++lane) sum += sums[lane];
  *c = sum;
}
