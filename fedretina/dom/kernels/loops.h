/* The loops: kernels.c includes this file once for each kind of processor. */

TARGET static inline double FOR_CPU(largest)(const double *v, int64_t n) {
    double found = 0;
    for (int64_t i = 0; i < n; i++) {
        double size = fabs(v[i]);
        found = size > found ? size : found;
    }
    return found;
}

TARGET static inline int FOR_CPU(exponent_of)(double value) {
    int exponent;
    frexp(value, &exponent);
    return exponent;
}

/* The exponent of the least power of two that is at least n. */
TARGET static inline int FOR_CPU(ceil_log2)(int64_t n) {
    int bits = 0;
    while (((int64_t)1 << bits) < n) bits++;
    return bits;
}

/* The Euclidean norm of v, of which each value is rounded so that the sum of squares is exact. */
TARGET static inline double FOR_CPU(norm)(const double *v, int64_t n) {
    double most = FOR_CPU(largest)(v, n);
    if (most < TINY) return 0;
    int bits = (EXACT_BITS - FOR_CPU(ceil_log2)(n)) / 2, exponent = FOR_CPU(exponent_of)(most) - bits;
    double scale = ldexp(1, -exponent), total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t i = 0; i < n; i++) {
        double q = rint(v[i] * scale);
        total += q * q;
    }
    return ldexp(sqrt(total), exponent);
}

/* out = v / length, on the grid of unit vectors. */
TARGET static inline void FOR_CPU(unit_vector)(const double *v, double length, int64_t n, double *out) {
    for (int64_t i = 0; i < n; i++) out[i] = rint(v[i] / length * (1 << VECTOR_BITS)) * (1.0 / (1 << VECTOR_BITS));
}

/* out = a x */
TARGET static inline void FOR_CPU(times)(const float *a, int64_t n, int64_t m, const double *x, double *out) {
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
TARGET static inline void FOR_CPU(times_transposed)(const float *a, int64_t n, int64_t m, const double *x, double *out) {
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
TARGET static inline void FOR_CPU(make_orthogonal)(double *v, int64_t n, const double *known, int64_t count, double *spare, double *parts) {
    double most = FOR_CPU(largest)(v, n);
    if (!count || most < TINY) return;
    int exponent = FOR_CPU(exponent_of)(most) - COEFFICIENT_BITS;
    double scale = ldexp(1, -exponent);
    for (int64_t i = 0; i < n; i++) spare[i] = rint(v[i] * scale);
    for (int64_t k = 0; k < count; k++) {
        const double *row = known + k * n;
        double s = 0;
#pragma omp simd reduction(+ : s)
        for (int64_t i = 0; i < n; i++) s += row[i] * spare[i];
        parts[k] = s;
    }
    double widest = FOR_CPU(largest)(parts, count);
    if (widest < TINY) return;
    double unit = ldexp(1, FOR_CPU(exponent_of)(widest) - PART_BITS);
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

TARGET static inline int FOR_CPU(is_negligible)(Space *space, double coefficient) {
    space->is_whole = coefficient <= LEAST * space->largest;
    space->largest = coefficient > space->largest ? coefficient : space->largest;
    return (int)space->is_whole;
}

/* Golub's and Kahan's bidiagonalisation of the n x m matrix a, up to `steps`. `left` is steps x n, `right` steps x m,
 * `following` has m values, `spare` max(n, m) + n + steps. */
TARGET static void FOR_CPU(bidiagonalise)(
    const float *a, int64_t n, int64_t m, double *left, double *right, double *diagonal, double *above, double *following,
    Space *space, int64_t steps, double *spare) {
    double *column = spare + (n > m ? n : m), *parts = column + n;
    while (!space->is_whole && space->size < steps) {
        int64_t step = space->size;
        FOR_CPU(unit_vector)(following, space->beta, m, right + step * m);
        FOR_CPU(times)(a, n, m, right + step * m, column);
        for (int i = 0; i < PASSES; i++) FOR_CPU(make_orthogonal)(column, n, left, step, spare, parts);
        double alpha = FOR_CPU(norm)(column, n);
        if (FOR_CPU(is_negligible)(space, alpha)) return;
        diagonal[step] = alpha;
        space->size = step + 1;
        FOR_CPU(unit_vector)(column, alpha, n, left + step * n);
        FOR_CPU(times_transposed)(a, n, m, left + step * n, following);
        for (int i = 0; i < PASSES; i++) FOR_CPU(make_orthogonal)(following, m, right, step + 1, spare, parts);
        space->beta = FOR_CPU(norm)(following, m);
        if (FOR_CPU(is_negligible)(space, space->beta)) return;
        above[step] = space->beta;
    }
}

/* sums = left right for some rows and for `columns` columns; each row of sums has STRIP places. */
TARGET static inline void FOR_CPU(multiply)(
    const double *left, const double *right, int64_t m, int64_t ranks, int64_t rows, int64_t columns, double *sums) {
    int64_t j = 0;
    for (; rows == ROWS && j + 2 * LANES <= columns; j += 2 * LANES) {
        Lanes a0 = {0}, a1 = {0}, b0 = {0}, b1 = {0}, c0 = {0}, c1 = {0}, d0 = {0}, d1 = {0};
        for (int64_t k = 0; k < ranks; k++) {
            const double *factor = left + k;
            Lanes r0 = *(const Lanes *)(right + k * m + j), r1 = *(const Lanes *)(right + k * m + j + LANES);
            a0 = PLUS_PRODUCT(a0, factor[0], r0), a1 = PLUS_PRODUCT(a1, factor[0], r1);
            b0 = PLUS_PRODUCT(b0, factor[ranks], r0), b1 = PLUS_PRODUCT(b1, factor[ranks], r1);
            c0 = PLUS_PRODUCT(c0, factor[2 * ranks], r0), c1 = PLUS_PRODUCT(c1, factor[2 * ranks], r1);
            d0 = PLUS_PRODUCT(d0, factor[3 * ranks], r0), d1 = PLUS_PRODUCT(d1, factor[3 * ranks], r1);
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

/* out = base + left right, rounded once to float32. `left` is n x ranks, `right` ranks x m; `base` may be NULL.
 * `unit` is 0, or the power of two to whose multiples the product is rounded. */
TARGET static void FOR_CPU(predict)(
    const double *left, const double *right, int64_t n, int64_t m, int64_t ranks, double unit, const float *base,
    float *out) {
    double sums[ROWS * STRIP], inverse = unit ? 1 / unit : 0;
    for (int64_t i = 0; i < n; i += ROWS) {
        int64_t rows = n - i < ROWS ? n - i : ROWS;
        for (int64_t j = 0; j < m; j += STRIP) {
            int64_t columns = m - j < STRIP ? m - j : STRIP;
            FOR_CPU(multiply)(left + i * ranks, right + j, m, ranks, rows, columns, sums);
            for (int64_t r = 0; r < rows; r++) {
                int64_t at = (i + r) * m + j;
                double *row = sums + r * STRIP;
                if (unit)
                    for (int64_t c = 0; c < columns; c++) row[c] = rint(row[c] * inverse) * unit;
                if (base)
                    for (int64_t c = 0; c < columns; c++) row[c] += base[at + c];
                for (int64_t c = 0; c < columns; c++) {
                    double value = row[c] > FLT_MAX ? FLT_MAX : row[c];
                    out[at + c] = (float)(value < -FLT_MAX ? -FLT_MAX : value);
                }
            }
        }
    }
}

/* out[p] = sum over ranks of rint(left * units) * rint(right * units) * scale, exact: all are integers times powers of two. */
TARGET static void FOR_CPU(predict_places)(
    const float *left, const float *right, int64_t places, int64_t ranks, const double *units, const double *scales,
    double *out) {
    memset(out, 0, places * sizeof *out);
    for (int64_t k = 0; k < ranks; k++) {
        const float *l = left + k * places, *r = right + k * places;
        double unit = units[k], scale = scales[k];
        for (int64_t p = 0; p < places; p++) out[p] += rint(l[p] * unit) * scale * rint(r[p] * unit);
    }
}

/* The largest |new - base| in float32. */
TARGET static float FOR_CPU(largest_difference)(const float *new, const float *base, int64_t n) {
    float found = 0;
#pragma omp simd reduction(max : found)
    for (int64_t i = 0; i < n; i++) {
        float size = fabsf(new[i] - base[i]);
        found = size > found ? size : found;
    }
    return found;
}

/* out = (new - base) / largest, rounded to float32. */
TARGET static void FOR_CPU(scale_difference)(const float *new, const float *base, int64_t n, double largest, float *out) {
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
TARGET static void FOR_CPU(choose)(
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
TARGET static void FOR_CPU(restore)(
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

/* What a sample loses when it is rounded with a step: errors = residual - (q + offset) * step. `offsets` gets three integers
 * in 1/OFFSET_SCALE: the mean of |x| - |q| of the values with |q| = 1, 2 and more. Without `centre` they stay 0. */
TARGET static void FOR_CPU(sample_errors)(
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
