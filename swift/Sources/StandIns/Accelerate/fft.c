// Real Fourier transforms of powers of two.
//
// n real numbers become n/2 complex ones (even-indexed: real, odd-indexed: imaginary), which a Stockham
// autosort transform of radix 4 takes there and back between two buffers, without bit reversal; a last step of radix
// 2 where n/2 is no power of 4. Separating the spectra of even- and odd-indexed numbers gives the real transform.
// An inverse is the forward transform with real and imaginary parts exchanged. Exponentials are computed in double
// and rounded once. Nothing is allocated but by vDSP_create_fftsetup.
//
// Source: Van Loan, "Computational Frameworks for the Fast Fourier Transform", 1992, sections 1.7 (Stockham),
// 2.2 (radix 4) and 4.3 (real data).

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "Accelerate.h"
#include "cpu_versions.h"

#define INLINE static inline __attribute__((always_inline))

enum { MAX_LOG2N = 24 };

// w^p, w^2p and w^3p of one step for p < count, w = exp(-2 pi i / (4 count)); each array contiguous.
typedef struct {
  float *real[3];
  float *imag[3];
} Twiddles;

// Exponentials for one length of real data.
typedef struct {
  Twiddles *steps;  // of radix 4, in their order
  float *cosines;   // cos(2 pi k / n), k <= n / 4
  float *sines;
} Tables;

struct OpaqueFFTSetup {
  vDSP_Length log2n;
  float *values;      // all numbers of all tables
  Twiddles *twiddles;  // all steps of all tables
  Tables tables[];    // by log2n, from 0
};

static vDSP_Length radix_4_steps(vDSP_Length log2n) { return log2n < 1 ? 0 : (log2n - 1) / 2; }

static float *store_exponentials(float *values, vDSP_Length count, double turns_per_step, float **real,
                                 float **imag, double sign) {
  const double tau = 6.283185307179586476925286766559;
  *real = values;
  *imag = values + count;
  for (vDSP_Length k = 0; k < count; ++k) {
    (*real)[k] = (float)cos(tau * turns_per_step * (double)k);
    (*imag)[k] = (float)(sign * sin(tau * turns_per_step * (double)k));
  }
  return values + 2 * count;
}

FFTSetup vDSP_create_fftsetup(vDSP_Length log2n, FFTRadix radix) {
  if (radix != kFFTRadix2 || log2n > MAX_LOG2N) return NULL;
  vDSP_Length value_count = 0, step_count = 0;
  for (vDSP_Length size = 1; size <= log2n; ++size) {
    const vDSP_Length n = (vDSP_Length)1 << size;
    step_count += radix_4_steps(size);
    for (vDSP_Length step = 0, count = n / 8; step < radix_4_steps(size); ++step, count /= 4)
      value_count += 6 * count;
    value_count += 2 * (n / 4 + 1);
  }
  FFTSetup setup = calloc(1, sizeof *setup + (log2n + 1) * sizeof(Tables));
  if (!setup) return NULL;
  setup->log2n = log2n;
  setup->values = malloc((value_count + 1) * sizeof(float));
  setup->twiddles = malloc((step_count + 1) * sizeof(Twiddles));
  if (!setup->values || !setup->twiddles) {
    vDSP_destroy_fftsetup(setup);
    return NULL;
  }
  float *values = setup->values;
  Twiddles *twiddles = setup->twiddles;
  for (vDSP_Length size = 1; size <= log2n; ++size) {
    const vDSP_Length n = (vDSP_Length)1 << size;
    Tables *tables = &setup->tables[size];
    tables->steps = twiddles;
    for (vDSP_Length step = 0, count = n / 8; step < radix_4_steps(size); ++step, count /= 4, ++twiddles)
      for (int power = 0; power < 3; ++power)
        values = store_exponentials(values, count, (power + 1) / (4.0 * (double)count), &twiddles->real[power],
                                    &twiddles->imag[power], -1);
    values = store_exponentials(values, n / 4 + 1, 1.0 / (double)n, &tables->cosines, &tables->sines, 1);
  }
  return setup;
}

void vDSP_destroy_fftsetup(FFTSetup setup) {
  if (!setup) return;
  free(setup->values);
  free(setup->twiddles);
  free(setup);
}

// One step of radix 4: input[k quarter + j] for k < 4, j = p stride + q becomes output[q + stride (4 p + k)].
INLINE void radix_4_step(vDSP_Length quarter, vDSP_Length stride, const Twiddles *w, const float *restrict in_real,
                         const float *restrict in_imag, float *restrict out_real, float *restrict out_imag) {
  const float *restrict w1_real = w->real[0], *restrict w1_imag = w->imag[0];
  const float *restrict w2_real = w->real[1], *restrict w2_imag = w->imag[1];
  const float *restrict w3_real = w->real[2], *restrict w3_imag = w->imag[2];
#define BUTTERFLY(p, q)                                                                                    \
  const vDSP_Length from = (p) * stride + (q), to = 4 * (p) * stride + (q);                                \
  const float a_real = in_real[from], a_imag = in_imag[from];                                              \
  const float b_real = in_real[from + quarter], b_imag = in_imag[from + quarter];                          \
  const float c_real = in_real[from + 2 * quarter], c_imag = in_imag[from + 2 * quarter];                  \
  const float d_real = in_real[from + 3 * quarter], d_imag = in_imag[from + 3 * quarter];                  \
  const float ac_sum_real = a_real + c_real, ac_sum_imag = a_imag + c_imag;                                \
  const float ac_difference_real = a_real - c_real, ac_difference_imag = a_imag - c_imag;                  \
  const float bd_sum_real = b_real + d_real, bd_sum_imag = b_imag + d_imag;                                \
  const float bd_difference_real = b_real - d_real, bd_difference_imag = b_imag - d_imag;                  \
  const float y1_real = ac_difference_real + bd_difference_imag;                                           \
  const float y1_imag = ac_difference_imag - bd_difference_real;                                           \
  const float y2_real = ac_sum_real - bd_sum_real, y2_imag = ac_sum_imag - bd_sum_imag;                    \
  const float y3_real = ac_difference_real - bd_difference_imag;                                           \
  const float y3_imag = ac_difference_imag + bd_difference_real;                                           \
  out_real[to] = ac_sum_real + bd_sum_real;                                                                \
  out_imag[to] = ac_sum_imag + bd_sum_imag;                                                                \
  out_real[to + stride] = y1_real * w1_real[p] - y1_imag * w1_imag[p];                                     \
  out_imag[to + stride] = y1_real * w1_imag[p] + y1_imag * w1_real[p];                                     \
  out_real[to + 2 * stride] = y2_real * w2_real[p] - y2_imag * w2_imag[p];                                 \
  out_imag[to + 2 * stride] = y2_real * w2_imag[p] + y2_imag * w2_real[p];                                 \
  out_real[to + 3 * stride] = y3_real * w3_real[p] - y3_imag * w3_imag[p];                                 \
  out_imag[to + 3 * stride] = y3_real * w3_imag[p] + y3_imag * w3_real[p];
  const vDSP_Length count = quarter / stride;
  if (stride == 1) {
    for (vDSP_Length p = 0; p < count; ++p) {
      BUTTERFLY(p, 0)
    }
  } else if (stride == 4) {
    for (vDSP_Length p = 0; p < count; ++p)
      for (vDSP_Length q = 0; q < 4; ++q) {
        BUTTERFLY(p, q)
      }
  } else {
    for (vDSP_Length p = 0; p < count; ++p)
      for (vDSP_Length q = 0; q < stride; ++q) {
        BUTTERFLY(p, q)
      }
  }
#undef BUTTERFLY
}

// The last step where the length is no power of 4.
INLINE void radix_2_step(vDSP_Length half, const float *restrict in_real, const float *restrict in_imag,
                         float *restrict out_real, float *restrict out_imag) {
  for (vDSP_Length q = 0; q < half; ++q) {
    const float a_real = in_real[q], a_imag = in_imag[q], b_real = in_real[q + half], b_imag = in_imag[q + half];
    out_real[q] = a_real + b_real;
    out_imag[q] = a_imag + b_imag;
    out_real[q + half] = a_real - b_real;
    out_imag[q + half] = a_imag - b_imag;
  }
}

// Forward complex transform of `length` numbers that lie in `from`; returns which of both buffers has the result.
INLINE DSPSplitComplex complex_transform(const Tables *tables, vDSP_Length log2n, DSPSplitComplex from,
                                         DSPSplitComplex to) {
  const vDSP_Length length = (vDSP_Length)1 << (log2n - 1), steps = radix_4_steps(log2n);
  vDSP_Length stride = 1;
  for (vDSP_Length step = 0; step < steps; ++step, stride *= 4) {
    radix_4_step(length / 4, stride, &tables->steps[step], from.realp, from.imagp, to.realp, to.imagp);
    const DSPSplitComplex exchanged = from;
    from = to;
    to = exchanged;
  }
  if (stride == length) return from;
  radix_2_step(length / 2, from.realp, from.imagp, to.realp, to.imagp);
  return to;
}

// From the transform of even + i odd to twice that of the real data (sign 1), or back without a factor (sign -1).
INLINE void recombine(const Tables *tables, vDSP_Length log2n, DSPSplitComplex from, DSPSplitComplex to, float sign) {
  const vDSP_Length length = (vDSP_Length)1 << (log2n - 1);
  const float *cosines = tables->cosines, *sines = tables->sines;
  const float *in_real = from.realp, *in_imag = from.imagp;
  float *out_real = to.realp, *out_imag = to.imagp;
  const float scale = sign > 0 ? 2 : 1, first = in_real[0], second = in_imag[0];
  out_real[0] = scale * (first + second);
  out_imag[0] = scale * (first - second);
  // `from` and `to` may be the same, but each round touches only its own two elements.
#pragma clang loop vectorize(assume_safety)
  for (vDSP_Length k = 1; k <= length / 2; ++k) {
    const float a_real = in_real[k], a_imag = in_imag[k], b_real = in_real[length - k], b_imag = in_imag[length - k];
    const float cosine = sign * cosines[k], sine = sines[k];
    const float even_real = a_real + b_real, even_imag = a_imag - b_imag;
    const float odd_real = a_real - b_real, odd_imag = a_imag + b_imag;
    const float turned_real = cosine * odd_imag - sine * odd_real;
    const float turned_imag = -cosine * odd_real - sine * odd_imag;
    out_real[k] = even_real + turned_real;
    out_imag[k] = even_imag + turned_imag;
    out_real[length - k] = even_real - turned_real;
    out_imag[length - k] = turned_imag - even_imag;
  }
}

FOR_EACH_CPU static void forward(const Tables *tables, vDSP_Length log2n, DSPSplitComplex c, DSPSplitComplex buffer) {
  recombine(tables, log2n, complex_transform(tables, log2n, c, buffer), c, 1);
}

FOR_EACH_CPU static void inverse(const Tables *tables, vDSP_Length log2n, DSPSplitComplex c, DSPSplitComplex buffer) {
  const vDSP_Length steps = radix_4_steps(log2n) + (log2n - 1) % 2;
  // Starts where an even number of exchanges ends in `c`.
  const DSPSplitComplex start = steps % 2 ? buffer : c, other = steps % 2 ? c : buffer;
  recombine(tables, log2n, c, start, -1);
  complex_transform(tables, log2n, (DSPSplitComplex){start.imagp, start.realp},
                    (DSPSplitComplex){other.imagp, other.realp});
}

static void require(int condition, const char *message) {
  if (condition) return;
  fprintf(stderr, "vDSP_fft_zript (stand-in): %s\n", message);
  abort();
}

void vDSP_fft_zript(FFTSetup setup, const DSPSplitComplex *c, vDSP_Stride stride, const DSPSplitComplex *buffer,
                    vDSP_Length log2n, FFTDirection direction) {
  require(stride == 1, "only stride 1 is provided");
  require(log2n >= 1 && log2n <= setup->log2n, "log2n is beyond that of the setup");
  require(direction == kFFTDirection_Forward || direction == kFFTDirection_Inverse, "there is no such direction");
  if (direction == kFFTDirection_Forward)
    forward(&setup->tables[log2n], log2n, *c, *buffer);
  else
    inverse(&setup->tables[log2n], log2n, *c, *buffer);
}
