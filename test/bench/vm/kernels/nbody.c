#include "kernel.h"
enum { BODIES = 16 };
static struct { double x, y, z, vx, vy, vz, mass; } body[BODIES];

// Moves bodies that attract each other.
KERNEL unsigned run(unsigned rounds) {
  unsigned seed = 7;
  for (int i = 0; i < BODIES; i++) {
    body[i].x = next_random(&seed) * 2e-9;
    body[i].y = next_random(&seed) * 2e-9;
    body[i].z = next_random(&seed) * 2e-9;
    body[i].vx = body[i].vy = body[i].vz = 0;
    body[i].mass = 1 + i * 0.1;
  }
  const double dt = 1e-4;
  for (unsigned round = 0; round < rounds; round++) {
    for (int i = 0; i < BODIES; i++)
      for (int j = i + 1; j < BODIES; j++) {
        double dx = body[i].x - body[j].x, dy = body[i].y - body[j].y, dz = body[i].z - body[j].z;
        double square = dx * dx + dy * dy + dz * dz + 1e-3;
        double pull = dt / (square * __builtin_sqrt(square));
        body[i].vx -= dx * body[j].mass * pull;
        body[i].vy -= dy * body[j].mass * pull;
        body[i].vz -= dz * body[j].mass * pull;
        body[j].vx += dx * body[i].mass * pull;
        body[j].vy += dy * body[i].mass * pull;
        body[j].vz += dz * body[i].mass * pull;
      }
    for (int i = 0; i < BODIES; i++) {
      body[i].x += dt * body[i].vx;
      body[i].y += dt * body[i].vy;
      body[i].z += dt * body[i].vz;
    }
  }
  double total = 0;
  for (int i = 0; i < BODIES; i++) total += body[i].x + body[i].vy;
  return (unsigned)(long long)(total * 1e3);
}
