/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Decodes the path columns of a branch body (enum ttlog_branch_column) with shuffles of 16 bytes, and numbers branches.
 *
 * A control byte describes two records. Tables give, for each control byte, the shuffle that widens its two values to 64
 * bits, the sign bits of the two to values, and how many bytes the values take. The loop has no branch that depends on the
 * data. The addresses are running sums: the sum of a pair is made first, so that only one addition waits for the pair before.
 *
 * Nearly all from values take one byte. Where those of 64 records do, a second loop decodes four records at a time: the
 * two control bytes of four records then have 8 bits that say something, which index tables of the same kind.
 */
#include "ttlog_reader.h"

#include <stdlib.h>

static inline __attribute__((always_inline)) void write_clocks(uint64_t *clocks, uint64_t first, size_t count) {
    for (size_t i = 0; i < count; i++)
        clocks[i] = first + i;
}

static void write_clocks_portable(uint64_t *clocks, uint64_t first, size_t count) {
    write_clocks(clocks, first, count);
}

#if defined(__x86_64__)
#include <immintrin.h>

#define WITH_AVX2 __attribute__((target("avx2")))

static const uint8_t from_sizes[4] = {1, 2, 4, 8};
static const uint8_t to_sizes[4] = {1, 2, 3, 8};

/* The meaning of a control byte. */
struct pair {
    uint8_t from_shuffle[16], to_shuffle[16];
    uint64_t to_sign[2]; /* 0 for a value that fills 64 bits */
    uint32_t from_size, to_size;
    uint64_t unused;
};

/* The meaning of four records' lengths of to values, two bits each. */
struct quad {
    uint8_t shuffle[32]; /* of the first two values, and of the other two */
    uint64_t sign[4];
};

enum { PAIRS = 256, QUADS = 256, LINE = 64, BLOCK = 64 };
_Static_assert(sizeof(struct pair) == LINE, "a pair takes one line of the cache");
_Static_assert(sizeof(struct quad) == LINE, "four records take one line of the cache");

struct ttlog_path_decoder {
    struct pair pairs[PAIRS]; /* by control byte */
    struct quad quads[QUADS];
    struct quad_size {
        uint8_t half, whole; /* of the first two to values, and of all four */
    } quad_sizes[QUADS];
};

/* The shuffle that takes two values of those sizes, one after the other, to 64 bits each. */
static void fill_shuffle(uint8_t shuffle[16], unsigned low, unsigned high) {
    enum { ZERO = 0x80 };
    for (unsigned i = 0; i < 8; i++) {
        shuffle[i] = (uint8_t)(i < low ? i : ZERO);
        shuffle[8 + i] = (uint8_t)(i < high ? low + i : ZERO);
    }
}

static uint64_t sign_bit(unsigned size) {
    return size == 8 ? 0 : (uint64_t)1 << (8 * size - 1);
}

static void fill_pairs(struct pair pairs[PAIRS]) {
    for (unsigned control = 0; control < PAIRS; control++) {
        struct pair *pair = &pairs[control];
        unsigned low_from = from_sizes[control & 3], high_from = from_sizes[control >> 4 & 3];
        unsigned low_to = to_sizes[control >> 2 & 3], high_to = to_sizes[control >> 6];
        fill_shuffle(pair->from_shuffle, low_from, high_from);
        fill_shuffle(pair->to_shuffle, low_to, high_to);
        pair->to_sign[0] = sign_bit(low_to);
        pair->to_sign[1] = sign_bit(high_to);
        pair->from_size = low_from + high_from;
        pair->to_size = low_to + high_to;
        pair->unused = 0;
    }
}

static void fill_quads(ttlog_path_decoder *decoder) {
    for (unsigned lengths = 0; lengths < QUADS; lengths++) {
        struct quad *quad = &decoder->quads[lengths];
        unsigned size[4];
        for (unsigned i = 0; i < 4; i++) {
            size[i] = to_sizes[lengths >> 2 * i & 3];
            quad->sign[i] = sign_bit(size[i]);
        }
        fill_shuffle(quad->shuffle, size[0], size[1]);
        fill_shuffle(quad->shuffle + 16, size[2], size[3]);
        decoder->quad_sizes[lengths].half = (uint8_t)(size[0] + size[1]);
        decoder->quad_sizes[lengths].whole = (uint8_t)(size[0] + size[1] + size[2] + size[3]);
    }
}

WITH_AVX2 static inline __m128i load(const void *place) {
    return _mm_loadu_si128((const __m128i *)place);
}

WITH_AVX2 static inline uint64_t total(__m256i sums) {
    uint64_t words[4];
    _mm256_storeu_si256((__m256i *)words, sums);
    return words[0] + words[1] + words[2] + words[3];
}

/* write_clocks with stores of 32 bytes: those of 16 bytes take twice as long. */
WITH_AVX2 static void write_clocks_wide(uint64_t *clocks, uint64_t first, size_t count) {
    write_clocks(clocks, first, count);
}

void ttlog_write_clocks(uint64_t *clocks, uint64_t first, size_t count) {
    if (__builtin_cpu_supports("avx2"))
        write_clocks_wide(clocks, first, count);
    else
        write_clocks_portable(clocks, first, count);
}

ttlog_path_decoder *ttlog_path_decoder_create(void) {
    if (!__builtin_cpu_supports("avx2"))
        return NULL;
    ttlog_path_decoder *decoder = aligned_alloc(LINE, sizeof(*decoder));
    if (decoder != NULL) {
        fill_pairs(decoder->pairs);
        fill_quads(decoder);
    }
    return decoder;
}

WITH_AVX2 void ttlog_path_sizes(const ttlog_path_decoder *decoder, const uint8_t *control, size_t count,
                                size_t *from_size, size_t *to_size) {
    const __m256i from_table = _mm256_set1_epi32(0x08040201);
    const __m256i to_table = _mm256_setr_epi32(0x01010101, 0x02020202, 0x03030303, 0x08080808, 0x01010101, 0x02020202,
                                               0x03030303, 0x08080808);
    const __m256i low_bits = _mm256_set1_epi8(15), zero = _mm256_setzero_si256();
    __m256i from_sums = zero, to_sums = zero;
    size_t half = count / 2, done = 0;
    for (; done + 32 <= half; done += 32) {
        __m256i bytes = _mm256_loadu_si256((const __m256i *)(control + done));
        __m256i low = _mm256_and_si256(bytes, low_bits);
        __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), low_bits);
        __m256i from = _mm256_add_epi8(_mm256_shuffle_epi8(from_table, low), _mm256_shuffle_epi8(from_table, high));
        __m256i to = _mm256_add_epi8(_mm256_shuffle_epi8(to_table, low), _mm256_shuffle_epi8(to_table, high));
        from_sums = _mm256_add_epi64(from_sums, _mm256_sad_epu8(from, zero));
        to_sums = _mm256_add_epi64(to_sums, _mm256_sad_epu8(to, zero));
    }
    *from_size = total(from_sums);
    *to_size = total(to_sums);
    for (; done < half; done++) {
        *from_size += decoder->pairs[control[done]].from_size;
        *to_size += decoder->pairs[control[done]].to_size;
    }
    if (count % 2 != 0) {
        *from_size += from_sizes[control[half] & 3];
        *to_size += to_sizes[control[half] >> 2 & 3];
    }
}

/* What remains to be decoded. */
struct path {
    const uint8_t *control, *from, *to;
    uint64_t *from_out; /* NULL: only the to addresses are wanted */
    uint64_t *to_out;
    __m256i previous; /* the to address before, four times */
};

WITH_AVX2 static inline __attribute__((always_inline)) void decode_pairs(const ttlog_path_decoder *decoder,
                                                                         struct path *path, size_t count) {
    __m128i previous = _mm256_castsi256_si128(path->previous);
    const uint8_t *from_column = path->from, *to_column = path->to;
    for (size_t done = 0; done < count; done += 2) {
        const struct pair *pair = &decoder->pairs[path->control[done / 2]];
        __m128i from = _mm_shuffle_epi8(load(from_column), load(pair->from_shuffle));
        __m128i to = _mm_shuffle_epi8(load(to_column), load(pair->to_shuffle));
        __m128i sign = load(pair->to_sign);
        to = _mm_sub_epi64(_mm_xor_si128(to, sign), sign);
        __m128i steps = _mm_add_epi64(from, to);
        __m128i sums = _mm_add_epi64(steps, _mm_slli_si128(steps, 8));
        __m128i addresses = _mm_add_epi64(sums, previous);
        _mm_storeu_si128((__m128i *)(path->to_out + done), addresses);
        if (path->from_out != NULL)
            _mm_storeu_si128((__m128i *)(path->from_out + done), _mm_sub_epi64(addresses, to));
        previous = _mm_add_epi64(previous, _mm_unpackhi_epi64(sums, sums));
        from_column += pair->from_size;
        to_column += pair->to_size;
    }
    path->from = from_column;
    path->to = to_column;
    path->previous = _mm256_broadcastq_epi64(previous);
}

/* The lengths of the to values of 64 records: a number below 256 for each four. `control`: their control bytes without the
 * lengths of from values, shifted to bits 0 and 1, 4 and 5. */
WITH_AVX2 static inline __m256i lengths_by_four(__m256i control) {
    __m256i of_two = _mm256_and_si256(_mm256_or_si256(control, _mm256_srli_epi16(control, 2)), _mm256_set1_epi8(15));
    return _mm256_maddubs_epi16(of_two, _mm256_set1_epi16(0x1001));
}

/* Decodes 64 records whose from values take a byte each. */
WITH_AVX2 static inline __attribute__((always_inline)) void decode_quads(const ttlog_path_decoder *decoder,
                                                                         struct path *path, __m256i lengths) {
    const __m256i zero = _mm256_setzero_si256();
    uint16_t numbers[BLOCK / 4];
    _mm256_storeu_si256((__m256i *)numbers, lengths);
    __m256i previous = path->previous;
    const uint8_t *to_column = path->to;
    for (size_t i = 0; i < BLOCK / 4; i++) {
        const struct quad *quad = &decoder->quads[numbers[i]];
        struct quad_size size = decoder->quad_sizes[numbers[i]];
        __m256i to = _mm256_inserti128_si256(_mm256_castsi128_si256(load(to_column)), load(to_column + size.half), 1);
        to = _mm256_shuffle_epi8(to, _mm256_load_si256((const __m256i *)quad->shuffle));
        __m256i sign = _mm256_load_si256((const __m256i *)quad->sign);
        to = _mm256_sub_epi64(_mm256_xor_si256(to, sign), sign);
        __m256i steps = _mm256_add_epi64(to, _mm256_cvtepu8_epi64(_mm_loadu_si32(path->from + 4 * i)));
        __m256i of_two = _mm256_add_epi64(steps, _mm256_slli_si256(steps, 8));
        /* The sum of the first two records, added to the other two. */
        __m256i first = _mm256_blend_epi32(zero, _mm256_permute4x64_epi64(of_two, 0x50), 0xf0);
        __m256i sums = _mm256_add_epi64(of_two, first);
        __m256i addresses = _mm256_add_epi64(sums, previous);
        _mm256_storeu_si256((__m256i *)(path->to_out + 4 * i), addresses);
        if (path->from_out != NULL)
            _mm256_storeu_si256((__m256i *)(path->from_out + 4 * i), _mm256_sub_epi64(addresses, to));
        previous = _mm256_add_epi64(previous, _mm256_permute4x64_epi64(sums, 0xff));
        to_column += size.whole;
    }
    path->from += BLOCK;
    path->to = to_column;
    path->previous = previous;
}

WITH_AVX2 static inline __attribute__((always_inline)) void decode(const ttlog_path_decoder *decoder, struct path path,
                                                                   size_t count) {
    const __m256i lengths_of_one = _mm256_set1_epi8(0x33);
    path.previous = _mm256_setzero_si256();
    while (count >= BLOCK) {
        __m256i control = _mm256_loadu_si256((const __m256i *)path.control);
        if (_mm256_testz_si256(control, lengths_of_one))
            decode_quads(decoder, &path, lengths_by_four(_mm256_srli_epi16(control, 2)));
        else
            decode_pairs(decoder, &path, BLOCK);
        path.control += BLOCK / 2;
        path.to_out += BLOCK;
        if (path.from_out != NULL)
            path.from_out += BLOCK;
        count -= BLOCK;
    }
    decode_pairs(decoder, &path, count);
}

WITH_AVX2 void ttlog_path_decode(const ttlog_path_decoder *decoder, const uint8_t *control, const uint8_t *from_column,
                                 const uint8_t *to_column, size_t count, uint64_t *from_out, uint64_t *to_out) {
    struct path path = {.control = control, .from = from_column, .to = to_column, .to_out = to_out};
    if (from_out == NULL) {
        decode(decoder, path, count); /* compiled apart, without the stores of from addresses */
        return;
    }
    path.from_out = from_out;
    decode(decoder, path, count);
}

#else

void ttlog_write_clocks(uint64_t *clocks, uint64_t first, size_t count) {
    write_clocks_portable(clocks, first, count);
}

ttlog_path_decoder *ttlog_path_decoder_create(void) {
    return NULL;
}

/* Never called without a decoder. */
void ttlog_path_sizes(const ttlog_path_decoder *decoder, const uint8_t *control, size_t count, size_t *from_size,
                      size_t *to_size) {
    (void)decoder, (void)control, (void)count;
    *from_size = *to_size = 0;
}

void ttlog_path_decode(const ttlog_path_decoder *decoder, const uint8_t *control, const uint8_t *from_column,
                       const uint8_t *to_column, size_t count, uint64_t *from_out, uint64_t *to_out) {
    (void)decoder, (void)control, (void)from_column, (void)to_column, (void)count, (void)from_out, (void)to_out;
}
#endif
