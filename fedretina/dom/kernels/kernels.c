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
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#define TARGET __attribute__((target("avx2,fma")))
#else
#define TARGET
#endif

#define EXPORT __attribute__((visibility("default")))
#define LOOP EXPORT TARGET void

enum { ROWS = 4, LANES = 4, STRIP = 256 }; /* rows, and values of each, that are predicted at once */
typedef double Lanes __attribute__((vector_size(8 * LANES), aligned(8), may_alias));

enum { RELEASE = 1 };

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
    double beta, largest; /* the latter of both diagonals */
    int64_t size, is_whole;
} Space;

/* The release of the functions and of what they compute, to be raised with every change: library.py takes no other. 0 where
 * the processor or the system lacks AVX2 or FMA: NumPy is faster than SSE2 then. */
EXPORT int fedretina_release(void) {
#if defined(__x86_64__)
    /* Compilers have a function for this, which cannot be linked everywhere. */
    unsigned a, b = 0, c = 0, d, low = 0, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_FMA)) return 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0)); /* what the system saves of registers */
    if ((low & 6) != 6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2)) return 0;
#endif
    return RELEASE;
}

TARGET static inline double largest(const double *v, int64_t n) {
    double found = 0;
    for (int64_t i = 0; i < n; i++) {
        double size = fabs(v[i]);
        found = size > found ? size : found;
    }
    return found;
}

TARGET static inline int exponent_of(double value) {
    int exponent;
    frexp(value, &exponent);
    return exponent;
}

/* The exponent of the least power of two that is at least n. */
TARGET static inline int ceil_log2(int64_t n) {
    int bits = 0;
    while (((int64_t)1 << bits) < n) bits++;
    return bits;
}

/* The Euclidean norm of v, of which each value is rounded so that the sum of squares is exact. */
TARGET static inline double norm(const double *v, int64_t n) {
    double most = largest(v, n);
    if (most < TINY) return 0;
    int bits = (EXACT_BITS - ceil_log2(n)) / 2, exponent = exponent_of(most) - bits;
    double scale = ldexp(1, -exponent), total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t i = 0; i < n; i++) {
        double q = rint(v[i] * scale);
        total += q * q;
    }
    return ldexp(sqrt(total), exponent);
}

/* out = v / length, on the grid of unit vectors. */
TARGET static inline void unit_vector(const double *v, double length, int64_t n, double *out) {
    for (int64_t i = 0; i < n; i++) out[i] = rint(v[i] / length * (1 << VECTOR_BITS)) * (1.0 / (1 << VECTOR_BITS));
}

/* out = a x */
TARGET static inline void times(const float *a, int64_t n, int64_t m, const double *x, double *out) {
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        const float *r0 = a + i * m, *r1 = r0 + m, *r2 = r1 + m, *r3 = r2 + m;
        double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
        for (int64_t j = 0; j < m; j++) {
            s0 += r0[j] * x[j];
            s1 += r1[j] * x[j];
            s2 += r2[j] * x[j];
            s3 += r3[j] * x[j];
        }
        out[i] = s0, out[i + 1] = s1, out[i + 2] = s2, out[i + 3] = s3;
    }
    for (; i < n; i++) {
        double s = 0;
#pragma omp simd reduction(+ : s)
        for (int64_t j = 0; j < m; j++) s += a[i * m + j] * x[j];
        out[i] = s;
    }
}

/* out = x a */
TARGET static inline void times_transposed(const float *a, int64_t n, int64_t m, const double *x, double *out) {
    memset(out, 0, m * sizeof *out);
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        const float *r0 = a + i * m, *r1 = r0 + m, *r2 = r1 + m, *r3 = r2 + m;
        double x0 = x[i], x1 = x[i + 1], x2 = x[i + 2], x3 = x[i + 3];
#pragma omp simd
        for (int64_t j = 0; j < m; j++) out[j] += (r0[j] * x0 + r1[j] * x1) + (r2[j] * x2 + r3[j] * x3);
    }
    for (; i < n; i++)
#pragma omp simd
        for (int64_t j = 0; j < m; j++) out[j] += a[i * m + j] * x[i];
}

/* Take from v its parts along the rows of `known`; `spare` has room for n values, `parts` for `count`. */
TARGET static inline void make_orthogonal(double *v, int64_t n, const double *known, int64_t count, double *spare, double *parts) {
    double most = largest(v, n);
    if (!count || most < TINY) return;
    int exponent = exponent_of(most) - COEFFICIENT_BITS;
    double scale = ldexp(1, -exponent);
    for (int64_t i = 0; i < n; i++) spare[i] = rint(v[i] * scale);
    for (int64_t k = 0; k < count; k++) {
        const double *row = known + k * n;
        double s = 0;
#pragma omp simd reduction(+ : s)
        for (int64_t i = 0; i < n; i++) s += row[i] * spare[i];
        parts[k] = s;
    }
    double widest = largest(parts, count);
    if (widest < TINY) return;
    double unit = ldexp(1, exponent_of(widest) - PART_BITS);
    for (int64_t k = 0; k < count; k++) parts[k] = rint(parts[k] * (1 / unit)) * unit;
    memset(spare, 0, n * sizeof *spare);
    for (int64_t k = 0; k < count; k++) {
        const double *row = known + k * n;
        double part = parts[k];
#pragma omp simd
        for (int64_t i = 0; i < n; i++) spare[i] += part * row[i];
    }
    double back = ldexp(1, exponent);
    for (int64_t i = 0; i < n; i++) v[i] = v[i] - spare[i] * back;
}

TARGET static inline int is_negligible(Space *space, double coefficient) {
    space->is_whole = coefficient <= LEAST * space->largest;
    space->largest = coefficient > space->largest ? coefficient : space->largest;
    return (int)space->is_whole;
}

/* Begin a space with a direction of n values. */
LOOP fedretina_begin(const float *a, int64_t n, int64_t m, const double *direction, double *following, Space *space) {
    times_transposed(a, n, m, direction, following);
    space->beta = norm(following, m);
    space->is_whole = !space->beta;
}

/* Golub's and Kahan's bidiagonalisation of the n x m matrix a, up to `steps`. `left` is steps x n, `right` steps x m,
 * `following` has m values, `spare` max(n, m) + n + steps. */
LOOP fedretina_bidiagonalise(
    const float *a, int64_t n, int64_t m, double *left, double *right, double *diagonal, double *above, double *following,
    Space *space, int64_t steps, double *spare) {
    double *column = spare + (n > m ? n : m), *parts = column + n;
    while (!space->is_whole && space->size < steps) {
        int64_t step = space->size;
        unit_vector(following, space->beta, m, right + step * m);
        times(a, n, m, right + step * m, column);
        for (int i = 0; i < PASSES; i++) make_orthogonal(column, n, left, step, spare, parts);
        double alpha = norm(column, n);
        if (is_negligible(space, alpha)) return;
        diagonal[step] = alpha;
        space->size = step + 1;
        unit_vector(column, alpha, n, left + step * n);
        times_transposed(a, n, m, left + step * n, following);
        for (int i = 0; i < PASSES; i++) make_orthogonal(following, m, right, step + 1, spare, parts);
        space->beta = norm(following, m);
        if (is_negligible(space, space->beta)) return;
        above[step] = space->beta;
    }
}

/* sum + factor * lanes */
TARGET static inline Lanes plus_product(Lanes sum, double factor, Lanes lanes) {
#if defined(__x86_64__)
    return (Lanes)_mm256_fmadd_pd(_mm256_set1_pd(factor), (__m256d)lanes, (__m256d)sum);
#else
    return sum + factor * lanes;
#endif
}

/* sums = left right for some rows and for `columns` columns; each row of sums has STRIP places. */
TARGET static inline void multiply(
    const double *left, const double *right, int64_t m, int64_t ranks, int64_t rows, int64_t columns, double *sums) {
    int64_t j = 0;
    for (; rows == ROWS && j + 2 * LANES <= columns; j += 2 * LANES) {
        Lanes a0 = {0}, a1 = {0}, b0 = {0}, b1 = {0}, c0 = {0}, c1 = {0}, d0 = {0}, d1 = {0};
        for (int64_t k = 0; k < ranks; k++) {
            const double *factor = left + k;
            Lanes r0 = *(const Lanes *)(right + k * m + j), r1 = *(const Lanes *)(right + k * m + j + LANES);
            a0 = plus_product(a0, factor[0], r0), a1 = plus_product(a1, factor[0], r1);
            b0 = plus_product(b0, factor[ranks], r0), b1 = plus_product(b1, factor[ranks], r1);
            c0 = plus_product(c0, factor[2 * ranks], r0), c1 = plus_product(c1, factor[2 * ranks], r1);
            d0 = plus_product(d0, factor[3 * ranks], r0), d1 = plus_product(d1, factor[3 * ranks], r1);
        }
        Lanes *out = (Lanes *)(sums + j);
        out[0] = a0, out[1] = a1;
        out = (Lanes *)(sums + STRIP + j), out[0] = b0, out[1] = b1;
        out = (Lanes *)(sums + 2 * STRIP + j), out[0] = c0, out[1] = c1;
        out = (Lanes *)(sums + 3 * STRIP + j), out[0] = d0, out[1] = d1;
    }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = j; c < columns; c++) {
            double sum = 0;
            for (int64_t k = 0; k < ranks; k++) sum += left[r * ranks + k] * right[k * m + c];
            sums[r * STRIP + c] = sum;
        }
}

/* out = base + sums, rounded to the nearest float32; beyond the largest, that. `base` may be NULL. */
TARGET static inline void add_to(const float *base, const double *sums, int64_t n, float *out) {
    int64_t i = 0;
#if defined(__x86_64__)
    __m256d most = _mm256_set1_pd(FLT_MAX), least = _mm256_set1_pd(-FLT_MAX);
    for (; i + 4 <= n; i += 4) {
        __m256d sum = _mm256_loadu_pd(sums + i);
        if (base) sum = _mm256_add_pd(sum, _mm256_cvtps_pd(_mm_loadu_ps(base + i)));
        _mm_storeu_ps(out + i, _mm256_cvtpd_ps(_mm256_max_pd(_mm256_min_pd(sum, most), least)));
    }
#endif
    for (; i < n; i++) {
        double value = base ? sums[i] + base[i] : sums[i];
        value = value > FLT_MAX ? FLT_MAX : value;
        out[i] = (float)(value < -FLT_MAX ? -FLT_MAX : value);
    }
}

/* out = base + left right, rounded once to float32. `left` is n x ranks, `right` ranks x m; `base` may be NULL.
 * `unit` is 0, or the power of two to whose multiples the product is rounded. */
LOOP fedretina_predict(
    const double *left, const double *right, int64_t n, int64_t m, int64_t ranks, double unit, const float *base,
    float *out) {
    double sums[ROWS * STRIP], inverse = unit ? 1 / unit : 0;
    for (int64_t i = 0; i < n; i += ROWS) {
        int64_t rows = n - i < ROWS ? n - i : ROWS;
        for (int64_t j = 0; j < m; j += STRIP) {
            int64_t columns = m - j < STRIP ? m - j : STRIP;
            multiply(left + i * ranks, right + j, m, ranks, rows, columns, sums);
            for (int64_t r = 0; r < rows; r++) {
                int64_t at = (i + r) * m + j;
                double *row = sums + r * STRIP;
                if (unit)
                    for (int64_t c = 0; c < columns; c++) row[c] = rint(row[c] * inverse) * unit;
                add_to(base ? base + at : NULL, row, columns, out + at);
            }
        }
    }
}

/* out[p] = sum over ranks of rint(left * units) * rint(right * units) * scale, exact: all are integers times powers of two. */
TARGET static inline void predict_places(
    const float *left, const float *right, int64_t places, int64_t ranks, const double *units, const double *scales,
    double *out) {
    memset(out, 0, places * sizeof *out);
    for (int64_t k = 0; k < ranks; k++) {
        const float *l = left + k * places, *r = right + k * places;
        double unit = units[k], scale = scales[k];
        for (int64_t p = 0; p < places; p++) out[p] += rint(l[p] * unit) * scale * rint(r[p] * unit);
    }
}

/* The largest |new - base| in float32. Sizes of floats are in the order of their bits. */
EXPORT TARGET float fedretina_largest_difference(const float *new, const float *base, int64_t n) {
    union { float value; int32_t bits; } found = {0};
    int32_t most = 0;
#pragma omp simd reduction(max : most)
    for (int64_t i = 0; i < n; i++) {
        union { float value; int32_t bits; } size = {fabsf(new[i] - base[i])};
        most = size.bits > most ? size.bits : most;
    }
    found.bits = most;
    return found.value;
}

/* out = (new - base) / largest, rounded to float32. */
LOOP fedretina_scale_difference(const float *new, const float *base, int64_t n, double largest, float *out) {
    for (int64_t i = 0; i < n; i++) out[i] = (float)(((double)new[i] - (double)base[i]) / largest);
}

/* A conversion to integers truncates. */
#define CHOOSE(type)                                                                                              \
    for (int64_t i = 0; i < n; i++) {                                                                             \
        float x = differences[i] * inverse;                                                                       \
        ((type *)integers)[i] = (type)(int32_t)(kind == DEAD_ZONE ? copysignf(offset, x) + x                      \
                                                                  : rintf(kind == PAPER ? x + offset : x));       \
    }

/* The integers of differences, in `width` bytes each. */
TARGET static inline void choose(
    const float *differences, int64_t n, float inverse, int64_t kind, float offset, void *integers, int64_t width) {
    if (width == 1 && kind == DEAD_ZONE) {
        const int64_t kind = DEAD_ZONE;
        CHOOSE(int8_t)
    } else if (width == 1) {
        CHOOSE(int8_t)
    } else {
        CHOOSE(int16_t)
    }
}

#undef CHOOSE

#define RESTORE(type, moved, before)                                                                              \
    for (int64_t i = 0; i < n; i++) {                                                                             \
        float q = ((const type *)integers)[i], level = fabsf(q);                                                  \
        float size = level > 1 ? others : first;                                                                  \
        size = level == 2 ? second : size;                                                                        \
        size = level < 1 ? 0.0f : size;                                                                           \
        float value = (q + (moved ? copysignf(1, q) * size : 0.0f)) * step + (before);                            \
        value = value > FLT_MAX ? FLT_MAX : value;                                                                \
        out[i] = value < -FLT_MAX ? -FLT_MAX : value;                                                             \
    }

/* out = base + (q + offset) * step, by separate operations. `base` may be NULL; so may `offsets`, which are those of
 * q = 1, 2 and more. */
TARGET static inline void restore(
    const void *integers, int64_t width, const float *base, int64_t n, const float *offsets, float step, float *out) {
    float first = offsets ? offsets[0] : 0, second = offsets ? offsets[1] : 0, others = offsets ? offsets[2] : 0;
    if (width == 1 && base && offsets) {
        RESTORE(int8_t, 1, base[i])
    } else if (width == 1 && base) {
        RESTORE(int8_t, 0, base[i])
    } else if (width == 1) {
        RESTORE(int8_t, 1, 0.0f)
    } else if (base) {
        RESTORE(int16_t, 1, base[i])
    } else {
        RESTORE(int16_t, 1, 0.0f)
    }
}

#undef RESTORE

LOOP fedretina_restore(
    const void *integers, int64_t width, const float *base, int64_t n, const float *offsets, float step, float *out) {
    restore(integers, width, base, n, offsets, step, out);
}

/* Choose the integers of new - base (see choose), restore them (see restore), and tell the differences and what is lost. */
LOOP fedretina_quantise(
    const float *new, const float *base, int64_t n, float inverse, int64_t kind, float offset, const float *offsets, float step,
    void *integers, int64_t width, float *restored, float *differences, float *errors) {
    for (int64_t i = 0; i < n; i++) differences[i] = new[i] - base[i];
    choose(differences, n, inverse, kind, offset, integers, width);
    restore(integers, width, base, n, offsets, step, restored);
    for (int64_t i = 0; i < n; i++) errors[i] = new[i] - restored[i];
}

/* What a sample loses when it is rounded with a step: errors = residual - (q + offset) * step. `offsets` gets three integers
 * in 1/OFFSET_SCALE: the mean of |x| - |q| of the values with |q| = 1, 2 and more. Without `centre` they stay 0. */
TARGET static inline void sample_errors(
    const double *residual, int64_t n, double step, int64_t kind, double offset, int64_t centre, double *errors,
    double *offsets) {
    double sums[LEVELS] = {0}, means[LEVELS] = {0};
    int64_t counts[LEVELS] = {0};
    for (int64_t i = 0; i < n; i++) {
        double x = residual[i] / step;
        errors[i] = kind == DEAD_ZONE ? trunc(copysign(offset, x) + x) : rint(kind == PAPER ? x + offset : x);
    }
    if (centre) {
        for (int64_t i = 0; i < n; i++) {
            double size = fabs(errors[i]);
            int64_t level = size < LEVELS - 1 ? (int64_t)size : LEVELS - 1;
            sums[level] += fabs(residual[i] / step) - size;
            counts[level]++;
        }
        for (int level = 1; level < LEVELS; level++) {
            double mean = rint(sums[level] / (counts[level] ? counts[level] : 1) * OFFSET_SCALE);
            mean = mean > 127 ? 127 : mean < -127 ? -127 : mean;
            offsets[level - 1] = mean;
            means[level] = mean / OFFSET_SCALE;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        double q = errors[i], size = fabs(q);
        double moved = size > 2 ? means[3] : size > 1 ? means[2] : size > 0 ? means[1] : 0;
        errors[i] = residual[i] - (q + copysign(1, q) * moved) * step;
    }
}

/* A sample of a tensor's differences, and what may predict them: see fedretina.dom.kernels.sample. */
typedef struct {
    const double *differences;
    int64_t n;
    double norm;
    int64_t kind;
    double offset;
    int64_t centre, ranks, fixed_rank, height, width;
    const float *left, *right;
    const double *values, *left_peaks, *right_peaks, *octaves, *table_octaves, *table_costs;
    int64_t table;
    double scale, fineness, finest;
    double *residual, *errors, *spare; /* n, n, and 3 * ranks + 1 values */
} Sample;

/* numpy.interp, for octaves that are a quarter apart, but for the last. */
TARGET static inline double cost_of(const Sample *sample, double octave) {
    const double *x = sample->table_octaves, *y = sample->table_costs;
    if (octave < x[0]) return 0;
    int64_t last = sample->table - 2, j = octave < x[last] ? (int64_t)((octave - x[0]) * 4) : last;
    if (octave < x[j]) j--; /* the difference was rounded up */
    if (octave == x[j]) return y[j];
    return (y[j + 1] - y[j]) / (x[j + 1] - x[j]) * (octave - x[j]) + y[j];
}

/* The number of ranks with which the matrix costs least: fedretina.dom.prediction.rates.Spectrum. */
TARGET static inline int64_t best_rank(const Sample *sample, double step) {
    int64_t count = sample->ranks, best = 0;
    double shift = 2 * log2(step), *costs = sample->spare, factors = 0, least = 0;
    for (int64_t i = 0; i <= 3 * count; i++) costs[i] = cost_of(sample, sample->octaves[i] - shift);
    for (int64_t rank = 0; rank <= count; rank++) {
        if (rank) factors += sample->height * costs[count + rank] + sample->width * costs[2 * count + rank];
        double cost = sample->height * sample->width * costs[rank];
        if (rank) cost += factors;
        if (!rank || cost < least) least = cost, best = rank;
    }
    return best;
}

/* The sum of squares in four lanes: fedretina.dom.tensors.energy_in_lanes. */
TARGET static inline double energy_in_lanes(const double *v, int64_t n) {
    double lanes[4] = {0};
    for (int64_t i = 0; i + 4 <= n; i += 4)
        for (int lane = 0; lane < 4; lane++) lanes[lane] += v[i + lane] * v[i + lane];
    for (int64_t i = n / 4 * 4; i < n; i++) lanes[i % 4] += v[i] * v[i];
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

/* The sample without what the leading ranks predict, or the sample itself: fedretina.dom.prediction.factors.predict_places. */
TARGET static inline const double *residual_of(const Sample *sample, double step) {
    int64_t ranks = sample->fixed_rank;
    if (!sample->ranks) return sample->differences;
    if (ranks < 0) ranks = sample->scale > sample->finest * step ? 0 : best_rank(sample, sample->fineness * step / sample->scale);
    if (!ranks) return sample->differences;
    double own = sample->fineness * step, bound = 0, *units = sample->spare, *scales = units + ranks;
    int least = 0;
    for (int64_t k = 0; k < ranks; k++) {
        double size = sample->values[k] * sample->scale;
        int exponent;
        if (frexp(own * own / size, &exponent) < sqrt(0.5)) exponent--;
        least = k && least < exponent ? least : exponent;
        scales[k] = ldexp(1, exponent);
        units[k] = sqrt(size / scales[k]);
        bound += rint(sample->left_peaks[k] * units[k]) * rint(sample->right_peaks[k] * units[k]) * scales[k];
    }
    if (bound >= ldexp(1, least + EXACT_BITS)) return sample->differences;
    predict_places(sample->left, sample->right, sample->n, ranks, units, scales, sample->residual);
    for (int64_t i = 0; i < sample->n; i++) sample->residual[i] = sample->differences[i] - sample->residual[i];
    return sample->residual;
}

TARGET static inline double estimate(const Sample *sample, double step) {
    double offsets[LEVELS - 1];
    sample_errors(
        residual_of(sample, step), sample->n, step, sample->kind, sample->offset, sample->centre, sample->errors, offsets);
    return sqrt(energy_in_lanes(sample->errors, sample->n)) / sample->norm;
}

/* The relative error with a step. */
EXPORT TARGET double fedretina_estimate(const Sample *sample, double step) { return estimate(sample, step); }

/* The exponent of the largest power of two, of at most `tries`, whose error is at most `limit`: steps.search_power. */
EXPORT TARGET int64_t fedretina_search_power(const Sample *sample, double limit, int64_t exponent, int64_t tries) {
    for (int64_t i = 0; i < tries && !(estimate(sample, ldexp(1, (int)exponent)) <= limit); i++) exponent--;
    return exponent;
}

/* A step whose error is within `tolerance` of the target, or the last of so many tries: steps.relative_step. */
EXPORT TARGET double fedretina_search_step(
    const Sample *sample, double target, double step, double tolerance, int64_t tries) {
    for (int64_t i = 0; i < tries; i++) {
        double error = estimate(sample, step), correction = error ? target / error : 2;
        if (fabs(error / target - 1) < tolerance) break;
        step *= correction < 0.5 ? 0.5 : correction > 2 ? 2 : correction;
    }
    return step;
}
