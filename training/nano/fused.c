// Element-wise parts of the network, each in one pass over memory, forwards and backwards. Float32.
// Rows are shared among threads; every function is called through ctypes from fused.py.
#include <math.h>
#include <string.h>

#define EACH _Pragma("omp parallel for schedule(static)") for

static inline float inverse_rms(const float *x, int width, float eps) {
    float sum = 0;
    for (int i = 0; i < width; i++) sum += x[i] * x[i];
    return 1.0f / sqrtf(sum / width + eps);
}

// dx of y = x * inv, where inv = 1 / rms(x); n is the gradient of y.
static inline void rms_back(const float *x, const float *n, float inv, float *dx, int width) {
    float dot = 0;
    for (int i = 0; i < width; i++) dot += n[i] * x[i];
    float pull = dot * inv * inv * inv / width;
    for (int i = 0; i < width; i++) dx[i] = n[i] * inv - x[i] * pull;
}

// y[r] = x[r] / rms(x[r]) * weight
void rms_forward(const float *x, const float *weight, float *y, long rows, int width, float eps) {
    EACH(long r = 0; r < rows; r++) {
        const float *a = x + r * width;
        float *o = y + r * width, inv = inverse_rms(a, width, eps);
        for (int i = 0; i < width; i++) o[i] = a[i] * inv * (weight ? weight[i] : 1.0f);
    }
}

// dweight holds `parts` rows that the caller adds up.
void rms_backward(const float *x, const float *weight, const float *dy, float *dx, float *dweight, long rows, int width,
                  float eps, int parts) {
    EACH(int p = 0; p < parts; p++) {
        float *dw = dweight + (long)p * width, n[width];
        for (long r = rows * p / parts; r < rows * (p + 1) / parts; r++) {
            const float *a = x + r * width, *g = dy + r * width;
            float inv = inverse_rms(a, width, eps);
            for (int i = 0; i < width; i++) {
                n[i] = weight ? g[i] * weight[i] : g[i];
                dw[i] += g[i] * a[i] * inv;
            }
            rms_back(a, n, inv, dx + r * width, width);
        }
    }
}

// y = x / rms(x) * (1 + scale) + shift over groups of `rows` rows; modulation [groups, stride] holds both.
void modulate_forward(const float *x, const float *shift, const float *scale, long stride, float *y, long groups,
                      int rows, int width, float eps) {
    EACH(long g = 0; g < groups; g++) {
        const float *s = scale + g * stride, *b = shift + g * stride;
        for (int r = 0; r < rows; r++) {
            const float *a = x + (g * rows + r) * width;
            float *o = y + (g * rows + r) * width, inv = inverse_rms(a, width, eps);
            for (int i = 0; i < width; i++) o[i] = a[i] * inv * (1.0f + s[i]) + b[i];
        }
    }
}

void modulate_backward(const float *x, const float *scale, long stride, const float *dy, float *dx, float *dshift,
                       float *dscale, long groups, int rows, int width, float eps) {
    EACH(long g = 0; g < groups; g++) {
        const float *s = scale + g * stride;
        float *db = dshift + g * width, *ds = dscale + g * width, n[width];
        for (int r = 0; r < rows; r++) {
            const float *a = x + (g * rows + r) * width, *d = dy + (g * rows + r) * width;
            float inv = inverse_rms(a, width, eps);
            for (int i = 0; i < width; i++) {
                n[i] = d[i] * (1.0f + s[i]);
                db[i] += d[i];
                ds[i] += d[i] * a[i] * inv;
            }
            rms_back(a, n, inv, dx + (g * rows + r) * width, width);
        }
    }
}

// y = x + gate * out over groups of rows.
void gate_forward(const float *x, const float *gate, long stride, const float *out, float *y, long groups, int rows, int width) {
    EACH(long g = 0; g < groups; g++)
        for (int r = 0; r < rows; r++) {
            long at = (g * rows + r) * width;
            for (int i = 0; i < width; i++) y[at + i] = x[at + i] + gate[g * stride + i] * out[at + i];
        }
}

void gate_backward(const float *gate, long stride, const float *out, const float *dy, float *dout, float *dgate,
                   long groups, int rows, int width) {
    EACH(long g = 0; g < groups; g++)
        for (int r = 0; r < rows; r++) {
            long at = (g * rows + r) * width;
            for (int i = 0; i < width; i++) {
                dout[at + i] = dy[at + i] * gate[g * stride + i];
                dgate[g * width + i] += dy[at + i] * out[at + i];
            }
        }
}

// y = silu(gate) * value; rows of gate and value may be strided (two halves of one product).
void swiglu_forward(const float *gate, const float *value, long stride, float *y, long rows, int width) {
    EACH(long r = 0; r < rows; r++)
        for (int i = 0; i < width; i++) {
            float g = gate[r * stride + i];
            y[r * width + i] = g / (1.0f + expf(-g)) * value[r * stride + i];
        }
}

void swiglu_backward(const float *gate, const float *value, long stride, const float *dy, float *dgate, float *dvalue,
                     long rows, int width) {
    EACH(long r = 0; r < rows; r++)
        for (int i = 0; i < width; i++) {
            float g = gate[r * stride + i], s = 1.0f / (1.0f + expf(-g)), d = dy[r * width + i];
            dvalue[r * stride + i] = d * g * s;
            dgate[r * stride + i] = d * value[r * stride + i] * s * (1.0f + g * (1.0f - s));
        }
}

// A fused projection [batch, length, q + k + v heads, head] -> q, k (normalised, weighted, rotated) and v, each
// [batch, heads, length, head]. cos and sin are [length, head / 2].
void heads_forward(const float *x, const float *wq, const float *wk, const float *cosine, const float *sine, float *q,
                   float *k, float *v, int batch, int length, int nq, int nk, int head, float eps) {
    int heads = nq + 2 * nk, half = head / 2;
    EACH(long bl = 0; bl < (long)batch * length; bl++) {
        long b = bl / length, l = bl % length;
        const float *c = cosine + l * half, *s = sine + l * half;
        for (int h = 0; h < heads; h++) {
            const float *a = x + (bl * heads + h) * head;
            if (h >= nq + nk) {
                memcpy(v + ((b * nk + h - nq - nk) * length + l) * head, a, sizeof(float) * head);
                continue;
            }
            float *o = h < nq ? q + ((b * nq + h) * length + l) * head : k + ((b * nk + h - nq) * length + l) * head;
            const float *w = h < nq ? wq : wk;
            float inv = inverse_rms(a, head, eps), n[head];
            for (int i = 0; i < head; i++) n[i] = a[i] * inv * (w ? w[i] : 1.0f);
            for (int i = 0; i < half; i++) {
                o[i] = n[i] * c[i] - n[i + half] * s[i];
                o[i + half] = n[i + half] * c[i] + n[i] * s[i];
            }
        }
    }
}

void heads_backward(const float *x, const float *wq, const float *wk, const float *cosine, const float *sine,
                    const float *dq, const float *dk, const float *dv, float *dx, float *dwq, float *dwk, int batch,
                    int length, int nq, int nk, int head, float eps, int parts) {
    int heads = nq + 2 * nk, half = head / 2;
    long total = (long)batch * length;
    EACH(int p = 0; p < parts; p++) {
        float n[head], m[head];
        for (long bl = total * p / parts; bl < total * (p + 1) / parts; bl++) {
            long b = bl / length, l = bl % length;
            const float *c = cosine + l * half, *s = sine + l * half;
            for (int h = 0; h < heads; h++) {
                const float *a = x + (bl * heads + h) * head;
                float *d = dx + (bl * heads + h) * head;
                if (h >= nq + nk) {
                    memcpy(d, dv + ((b * nk + h - nq - nk) * length + l) * head, sizeof(float) * head);
                    continue;
                }
                const float *g = h < nq ? dq + ((b * nq + h) * length + l) * head : dk + ((b * nk + h - nq) * length + l) * head;
                const float *w = h < nq ? wq : wk;
                float *dw = (h < nq ? dwq : dwk) + (long)p * head, inv = inverse_rms(a, head, eps);
                for (int i = 0; i < half; i++) {
                    n[i] = g[i] * c[i] + g[i + half] * s[i];
                    n[i + half] = g[i + half] * c[i] - g[i] * s[i];
                }
                for (int i = 0; i < head; i++) {
                    dw[i] += n[i] * a[i] * inv;
                    m[i] = w ? n[i] * w[i] : n[i];
                }
                rms_back(a, m, inv, d, head);
            }
        }
    }
}
