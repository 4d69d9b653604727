#include "kernel.h"
enum { W = 96, H = 48, Q = 9 };
static const int CX[Q] = {0, 1, 0, -1, 0, 1, -1, -1, 1}, CY[Q] = {0, 0, 1, 0, -1, 1, 1, -1, -1};
static const double WEIGHT[Q] = {4.0 / 9, 1.0 / 9, 1.0 / 9, 1.0 / 9, 1.0 / 9, 1.0 / 36, 1.0 / 36, 1.0 / 36, 1.0 / 36};
static double now[H][W][Q], then[H][W][Q];

// Lattice Boltzmann, D2Q9 with one relaxation time: a fluid in a periodic box.
KERNEL unsigned run(unsigned rounds) {
  for (int y = 0; y < H; y++)
    for (int x = 0; x < W; x++)
      for (int q = 0; q < Q; q++) now[y][x][q] = WEIGHT[q] * (1 + 0.01 * ((x * 7 + y * 3) % 11));
  for (unsigned round = 0; round < rounds; round++) {
    for (int y = 0; y < H; y++)
      for (int x = 0; x < W; x++) {
        double *f = now[y][x], density = 0, ux = 0, uy = 0;
        for (int q = 0; q < Q; q++) {
          density += f[q];
          ux += f[q] * CX[q];
          uy += f[q] * CY[q];
        }
        ux /= density;
        uy /= density;
        double square = 1.5 * (ux * ux + uy * uy);
        for (int q = 0; q < Q; q++) {
          double along = 3 * (CX[q] * ux + CY[q] * uy);
          double rest = WEIGHT[q] * density * (1 + along + 0.5 * along * along - square);
          then[(y + CY[q] + H) % H][(x + CX[q] + W) % W][q] = f[q] - 0.6 * (f[q] - rest);
        }
      }
    __builtin_memcpy(now, then, sizeof now);
  }
  double total = 0;
  for (int x = 0; x < W; x++) total += now[H / 2][x][1];
  return (unsigned)(long long)(total * 1e6);
}
