/* The codec's inner loops. library.py loads them; the NumPy code beside each call gives the same bits.
 *
 * Two rules make that so. Sums are exact: their terms are integers times a power of two and stay under 2**53, so the order
 * of summation does not matter and compilers may vectorise. Everything else is done value by value, with one IEEE
 * operation after the other: compile with -ffp-contract=off, and never with -ffast-math.
 */

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum { ROWS = 4, LANES = 4, STRIP = 256 }; /* rows, and values of each, that are predicted at once */
typedef double Lanes __attribute__((vector_size(8 * LANES), aligned(8), may_alias));

/* Keep these equal to the constants in fedretina/dom/prediction/lanczos.py. */
enum { PASSES = 2 }; /* of orthogonalisation: one leaves copies of what was found (Kahan: "twice is enough") */
enum { VECTOR_BITS = 22, COEFFICIENT_BITS = 20, PART_BITS = 27, EXACT_BITS = 53 };
#define LEAST 1e-5
#define TINY 0x1p-900

/* How differences become integers: see fedretina.dom.quantisation.rounding. */
enum { DEAD_ZONE = 0, NEAREST = 1, PAPER = 2 };
enum { LEVELS = 4, OFFSET_SCALE = 128 };

/* What grows: see fedretina.dom.prediction.lanczos.Krylov, which has the same fields. */
typedef struct {
    double beta, largest;
    int64_t size, is_whole;
} Space;

#define FOR_CPU(name) name##_on_any
#define TARGET
#define PLUS_PRODUCT(sum, factor, lanes) ((sum) + (factor) * (lanes))
#include "loops.h"
#undef FOR_CPU
#undef TARGET
#undef PLUS_PRODUCT

#if defined(__x86_64__)
#include <immintrin.h>
#define FOR_CPU(name) name##_on_avx2
#define TARGET __attribute__((target("avx2,fma")))
#define PLUS_PRODUCT(sum, factor, lanes) ((Lanes)_mm256_fmadd_pd(_mm256_set1_pd(factor), (__m256d)(lanes), (__m256d)(sum)))
#include "loops.h"
#define BEST(name) (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? name##_on_avx2 : name##_on_any)
#else
#define BEST(name) name##_on_any
#endif

EXPORT void fedretina_bidiagonalise(
    const float *a, int64_t n, int64_t m, double *left, double *right, double *diagonal, double *above, double *following,
    Space *space, int64_t steps, double *spare) {
    BEST(bidiagonalise)(a, n, m, left, right, diagonal, above, following, space, steps, spare);
}

EXPORT void fedretina_predict(
    const double *left, const double *right, int64_t n, int64_t m, int64_t ranks, double unit, const float *base,
    float *out) {
    BEST(predict)(left, right, n, m, ranks, unit, base, out);
}

EXPORT void fedretina_predict_places(
    const float *left, const float *right, int64_t places, int64_t ranks, const double *units, const double *scales,
    double *out) {
    BEST(predict_places)(left, right, places, ranks, units, scales, out);
}

EXPORT float fedretina_largest_difference(const float *new, const float *base, int64_t n) {
    return BEST(largest_difference)(new, base, n);
}

EXPORT void fedretina_scale_difference(const float *new, const float *base, int64_t n, double largest, float *out) {
    BEST(scale_difference)(new, base, n, largest, out);
}

EXPORT void fedretina_choose(
    const float *differences, int64_t n, float inverse, int64_t kind, float offset, void *integers, int64_t width) {
    BEST(choose)(differences, n, inverse, kind, offset, integers, width);
}

EXPORT void fedretina_restore(
    const void *integers, int64_t width, const float *base, int64_t n, const float *offsets, float step, float *out) {
    BEST(restore)(integers, width, base, n, offsets, step, out);
}

EXPORT void fedretina_sample_errors(
    const double *residual, int64_t n, double step, int64_t kind, double offset, int64_t centre, double *errors,
    double *offsets) {
    BEST(sample_errors)(residual, n, step, kind, offset, centre, errors, offsets);
}
