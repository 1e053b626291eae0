// The part of Apple's Accelerate framework that HTDemucsKit uses, for systems that lack the framework.
//
// Names, types and behaviour are those that Apple documents at developer.apple.com/documentation/accelerate and in
// the vDSP Programming Guide; FrameworkContractTests states them and runs against the framework too. Strides count
// elements of the vector's type, except for interleaved complex vectors, where they count floats. Vectors may be
// the same, but may not overlap otherwise.

#ifndef ACCELERATE_STAND_IN_H
#define ACCELERATE_STAND_IN_H

#pragma clang assume_nonnull begin

typedef unsigned long vDSP_Length;
typedef long vDSP_Stride;

/// A complex number; an array of them is an interleaved complex vector.
typedef struct DSPComplex {
  float real;
  float imag;
} DSPComplex;

/// A complex vector whose real and imaginary parts lie apart.
typedef struct DSPSplitComplex {
  float *realp;
  float *imagp;
} DSPSplitComplex;

/// Tables of complex exponentials; reused by any number of transforms, on any number of threads at once.
typedef struct OpaqueFFTSetup *FFTSetup;

typedef int FFTDirection;
enum { kFFTDirection_Forward = +1, kFFTDirection_Inverse = -1 };

typedef int FFTRadix;
enum { kFFTRadix2 = 0 };

/// Tables for transforms of up to `2^log2n` elements; NULL where there is not enough memory, or where the radix is
/// another than `kFFTRadix2`, which is all that this stand-in has.
FFTSetup _Nullable vDSP_create_fftsetup(vDSP_Length log2n, FFTRadix radix);

/// Frees tables; NULL is ignored.
void vDSP_destroy_fftsetup(FFTSetup _Nullable setup);

/// Fourier transform of `n = 2^log2n` real numbers, in place.
///
/// The real side holds even-indexed numbers in `realp` and odd-indexed ones in `imagp`, `n / 2` each. The complex
/// side holds bins 0 to `n / 2 - 1`; bin 0 is real and so is bin `n / 2`, which is kept in `imagp[0]`. Forward gives
/// twice the mathematical transform, inverse the sum over all `n` bins without a factor: there and back again
/// multiplies by `2 n`. (Apple's reference pages print `scale = 1./N` for the inverse; its Programming Guide and the
/// library's behaviour are as said here.) Each part of `buffer` holds `n / 2` floats, whose values are lost.
///
/// This stand-in takes `stride` 1 only, and ends the program at any other, as at a `log2n` beyond the setup's.
void vDSP_fft_zript(FFTSetup setup, const DSPSplitComplex *c, vDSP_Stride stride, const DSPSplitComplex *buffer,
                    vDSP_Length log2n, FFTDirection direction);

/// Copies `n` complex numbers from interleaved to split. `c_stride` counts floats: 2 for neighbours.
void vDSP_ctoz(const DSPComplex *c, vDSP_Stride c_stride, const DSPSplitComplex *z, vDSP_Stride z_stride,
               vDSP_Length n);

/// Copies `n` complex numbers from split to interleaved. `c_stride` counts floats: 2 for neighbours.
void vDSP_ztoc(const DSPSplitComplex *z, vDSP_Stride z_stride, DSPComplex *c, vDSP_Stride c_stride, vDSP_Length n);

/// `c = a * b`
void vDSP_vmul(const float *a, vDSP_Stride a_stride, const float *b, vDSP_Stride b_stride, float *c,
               vDSP_Stride c_stride, vDSP_Length n);

/// `c = a + b`
void vDSP_vadd(const float *a, vDSP_Stride a_stride, const float *b, vDSP_Stride b_stride, float *c,
               vDSP_Stride c_stride, vDSP_Length n);

/// `c = a / b`; the divisor comes first.
void vDSP_vdiv(const float *b, vDSP_Stride b_stride, const float *a, vDSP_Stride a_stride, float *c,
               vDSP_Stride c_stride, vDSP_Length n);

/// `d = a * b + c`
void vDSP_vma(const float *a, vDSP_Stride a_stride, const float *b, vDSP_Stride b_stride, const float *c,
              vDSP_Stride c_stride, float *d, vDSP_Stride d_stride, vDSP_Length n);

/// `*c = |a[0]| + |a[1]| + …`
void vDSP_svemg(const float *a, vDSP_Stride a_stride, float *c, vDSP_Length n);

#pragma clang assume_nonnull end

#endif
