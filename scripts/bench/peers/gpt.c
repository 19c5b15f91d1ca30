/* A GPT that generates, in one file: GPT-2's form, with a cache.

     cc -O3 -march=native -ffast-math -fopenmp gpt.c -lm -o gpt
     echo "1 0.8 63 1 0" | ./gpt weights.bin

   `weights.bin` comes from `export` in c.py: six int32 (vocab_size, max_len,
   d_model, num_heads, num_layers, d_ff), then float32 in the order of
   `read_weights`, every matrix as (out, in).

   A line of input holds: seed, temperature, new tokens, rows, and the ids of
   the prompt, which all rows share. Temperature 0 takes the likeliest token.
   The answer is one line of ids per row, the prompt first. */

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int vocab_size, max_len, d_model, num_heads, num_layers, d_ff;
} Sizes;

typedef struct { float *gain, *bias; } Norm;
typedef struct { float *matrix, *bias; } Dense; /* (out, in) and (out) */

typedef struct {
    Norm attention_norm;
    Dense query_key_value, output;
    Norm feed_forward_norm;
    Dense expand, contract;
} Block;

typedef struct {
    Sizes sizes;
    float *embedding, *positions;
    Block *blocks;
    Norm final_norm;
} GPT;

/* What one row needs: its cache, and room for one token's vectors. */
typedef struct {
    float *keys, *values; /* (layer, position, d_model) */
    float *x, *normed, *projected, *heads, *hidden, *scores, *logits;
    uint64_t random;
} Row;

static void fail(const char *message) {
    fprintf(stderr, "%s\n", message);
    exit(2);
}

static void *room(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (!memory) fail("There is not enough memory for this model.");
    return memory;
}

static float *take(float **rest, size_t count) {
    float *here = *rest;
    *rest += count;
    return here;
}

static Dense take_dense(float **rest, int out, int in) {
    float *matrix = take(rest, (size_t)out * in);
    return (Dense){matrix, take(rest, out)};
}

static Norm take_norm(float **rest, int width) {
    float *gain = take(rest, width);
    return (Norm){gain, take(rest, width)};
}

static GPT read_weights(const char *path) {
    GPT gpt;
    Sizes *s = &gpt.sizes;
    FILE *file = fopen(path, "rb");
    if (!file) fail("The file with the weights cannot be opened.");
    if (fread(s, sizeof(Sizes), 1, file) != 1) fail("The file with the weights has no header.");
    size_t d = s->d_model, f = s->d_ff;
    size_t count = (s->vocab_size + s->max_len) * d + 2 * d;
    count += s->num_layers * (4 * d + 3 * d * d + 3 * d + d * d + d + 2 * d * f + f + d);
    float *rest = room(count, sizeof(float));
    if (fread(rest, sizeof(float), count, file) != count || fgetc(file) != EOF)
        fail("The file with the weights does not fit the sizes in its header.");
    fclose(file);
    gpt.embedding = take(&rest, s->vocab_size * d);
    gpt.positions = take(&rest, s->max_len * d);
    gpt.blocks = room(s->num_layers, sizeof(Block));
    for (Block *b = gpt.blocks; b < gpt.blocks + s->num_layers; b++) {
        b->attention_norm = take_norm(&rest, d);
        b->query_key_value = take_dense(&rest, 3 * d, d);
        b->output = take_dense(&rest, d, d);
        b->feed_forward_norm = take_norm(&rest, d);
        b->expand = take_dense(&rest, f, d);
        b->contract = take_dense(&rest, d, f);
    }
    gpt.final_norm = take_norm(&rest, d);
    return gpt;
}

static Row make_row(const Sizes *s) {
    size_t d = s->d_model, cached = (size_t)s->num_layers * s->max_len * d;
    return (Row){
        .keys = room(cached, sizeof(float)), .values = room(cached, sizeof(float)),
        .x = room(d, sizeof(float)), .normed = room(d, sizeof(float)),
        .projected = room(3 * d, sizeof(float)), .heads = room(d, sizeof(float)),
        .hidden = room(s->d_ff, sizeof(float)), .scores = room(s->max_len, sizeof(float)),
        .logits = room(s->vocab_size, sizeof(float)),
    };
}

/* y = gain · (x − mean) / √(variance + 1e-5) + bias */
static void normalize(float *y, const float *x, Norm norm, int width) {
    float mean = 0, variance = 0;
    for (int i = 0; i < width; i++) mean += x[i];
    mean /= width;
    for (int i = 0; i < width; i++) variance += (x[i] - mean) * (x[i] - mean);
    float scale = 1 / sqrtf(variance / width + 1e-5f);
    for (int i = 0; i < width; i++) y[i] = norm.gain[i] * (x[i] - mean) * scale + norm.bias[i];
}

static float dot(const float *a, const float *b, int width) {
    float sum = 0;
    for (int i = 0; i < width; i++) sum += a[i] * b[i];
    return sum;
}

/* y = matrix · x + bias. Four sums at a time, since each waits for its last addition;
   large matrices are shared by the cores. */
static void multiply(float *y, const float *x, const float *matrix, const float *bias, int out,
                     int in) {
#pragma omp parallel for if ((long)out * in > 100000)
    for (int i = 0; i < out - 3; i += 4) {
        const float *a = matrix + (size_t)i * in, *b = a + in, *c = b + in, *d = c + in;
        float sum_a = 0, sum_b = 0, sum_c = 0, sum_d = 0;
        for (int j = 0; j < in; j++) {
            sum_a += a[j] * x[j];
            sum_b += b[j] * x[j];
            sum_c += c[j] * x[j];
            sum_d += d[j] * x[j];
        }
        y[i] = sum_a, y[i + 1] = sum_b, y[i + 2] = sum_c, y[i + 3] = sum_d;
    }
    for (int i = out / 4 * 4; i < out; i++) y[i] = dot(matrix + (size_t)i * in, x, in);
    if (bias)
        for (int i = 0; i < out; i++) y[i] += bias[i];
}

static float softmax(float *x, int count) {
    float most = x[0], sum = 0;
    for (int i = 1; i < count; i++) most = x[i] > most ? x[i] : most;
    for (int i = 0; i < count; i++) sum += x[i] = expf(x[i] - most);
    return sum; /* the caller divides */
}

/* heads = softmax(query · keysᵀ / √head_dim) · values, head by head */
static void attend(const Sizes *s, Row *row, int layer, int position) {
    int d = s->d_model, width = d / s->num_heads;
    float *keys = row->keys + (size_t)layer * s->max_len * d;
    float *values = row->values + (size_t)layer * s->max_len * d;
    memcpy(keys + position * d, row->projected + d, d * sizeof(float));
    memcpy(values + position * d, row->projected + 2 * d, d * sizeof(float));
    for (int h = 0; h < d; h += width) {
        const float *query = row->projected + h;
        float *out = row->heads + h;
        for (int t = 0; t <= position; t++)
            row->scores[t] = dot(query, keys + t * d + h, width) / sqrtf(width);
        float sum = softmax(row->scores, position + 1);
        memset(out, 0, width * sizeof(float));
        for (int t = 0; t <= position; t++) {
            float weight = row->scores[t] / sum;
            for (int i = 0; i < width; i++) out[i] += weight * values[t * d + h + i];
        }
    }
}

/* Read one token at a position: fill the cache, and compute row->logits. */
static void read_token(const GPT *gpt, Row *row, int token, int position) {
    const Sizes *s = &gpt->sizes;
    int d = s->d_model, f = s->d_ff;
    for (int i = 0; i < d; i++)
        row->x[i] = gpt->embedding[token * d + i] + gpt->positions[position * d + i];
    for (int layer = 0; layer < s->num_layers; layer++) {
        Block *b = &gpt->blocks[layer];
        normalize(row->normed, row->x, b->attention_norm, d);
        multiply(row->projected, row->normed, b->query_key_value.matrix, b->query_key_value.bias,
                 3 * d, d);
        attend(s, row, layer, position);
        multiply(row->normed, row->heads, b->output.matrix, b->output.bias, d, d);
        for (int i = 0; i < d; i++) row->x[i] += row->normed[i];
        normalize(row->normed, row->x, b->feed_forward_norm, d);
        multiply(row->hidden, row->normed, b->expand.matrix, b->expand.bias, f, d);
        for (int i = 0; i < f; i++) { /* GELU, in its tanh form */
            float z = row->hidden[i], cube = 0.044715f * z * z * z;
            row->hidden[i] = 0.5f * z * (1 + tanhf(0.7978845608f * (z + cube)));
        }
        multiply(row->normed, row->hidden, b->contract.matrix, b->contract.bias, d, f);
        for (int i = 0; i < d; i++) row->x[i] += row->normed[i];
    }
    normalize(row->normed, row->x, gpt->final_norm, d);
    multiply(row->logits, row->normed, gpt->embedding, NULL, s->vocab_size, d);
}

static float uniform(uint64_t *random) { /* xorshift64* */
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return (*random * 0x2545F4914F6CDD1Dull >> 40) / 16777216.0f;
}

static int choose(Row *row, int count, float temperature) {
    int best = 0;
    if (temperature == 0) {
        for (int i = 1; i < count; i++)
            if (row->logits[i] > row->logits[best]) best = i;
        return best;
    }
    for (int i = 0; i < count; i++) row->logits[i] /= temperature;
    float left = softmax(row->logits, count) * uniform(&row->random);
    for (int i = 0; i < count; i++)
        if ((left -= row->logits[i]) < 0) return i;
    return count - 1;
}

/* Read the prompt at the start of ids, and write the new tokens after it. */
static void generate(const GPT *gpt, Row *row, int *ids, int prompt, int total, float temperature) {
    for (int position = 0; position < total - 1; position++) {
        read_token(gpt, row, ids[position], position);
        if (position + 1 >= prompt)
            ids[position + 1] = choose(row, gpt->sizes.vocab_size, temperature);
    }
}

int main(int count, char **arguments) {
    if (count != 2) fail("Found another number of arguments than 1. Give the file of weights.");
    GPT gpt = read_weights(arguments[1]);
    int max_len = gpt.sizes.max_len, vocab_size = gpt.sizes.vocab_size;
    int *prompt = room(max_len, sizeof(int)), rows = 0;
    Row *states = NULL;
    char line[65536];
    while (fgets(line, sizeof line, stdin)) {
        char *at = line, *next;
        uint64_t seed = strtoull(at, &at, 10);
        float temperature = strtof(at, &at);
        int more = strtol(at, &at, 10), batch = strtol(at, &at, 10), length = 0;
        for (long id; id = strtol(at, &next, 10), next != at; at = next) {
            if (id < 0 || id >= vocab_size) fail("A token id is not in the vocabulary.");
            if (length == max_len) fail("The prompt is longer than max_len.");
            prompt[length++] = id;
        }
        if (length < 1 || batch < 1 || more < 0 || more > max_len - length)
            fail("Expected: seed, temperature, new tokens (prompt and new tokens up to max_len), "
                 "rows, and at least one id.");
        int total = length + more;
        int *ids = room((size_t)batch * total, sizeof(int));
        if (batch > rows) {
            states = realloc(states, batch * sizeof(Row));
            if (!states) fail("There is not enough memory for so many rows.");
            while (rows < batch) states[rows++] = make_row(&gpt.sizes);
        }
#pragma omp parallel for if (batch > 1)
        for (int i = 0; i < batch; i++) {
            states[i].random = (seed * 1000003 + i + 1) * 0x9E3779B97F4A7C15ull | 1;
            memcpy(ids + i * total, prompt, length * sizeof(int));
            generate(&gpt, &states[i], ids + i * total, length, total, temperature);
        }
        for (int i = 0; i < batch * total; i++)
            printf("%d%c", ids[i], (i + 1) % total ? ' ' : '\n');
        fflush(stdout);
        free(ids);
    }
    return 0;
}
