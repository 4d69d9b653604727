#include "flow.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/*
 * D2Q9: velocities come in pairs of opposites, so that the opposite of i > 0 is ((i - 1) ^ 1) + 1. The equilibrium is that
 * of He and Luo (1997) for incompressible flow; the relaxation has two rates (Ginzburg, Verhaeghe, d'Humieres 2008).
 */
enum { Q = 9, RATE_STEPS = 8 };
static const int CX[Q] = {0, 1, -1, 0, 0, 1, -1, 1, -1}, CY[Q] = {0, 0, 0, 1, -1, 1, -1, -1, 1};
static const double WEIGHT[Q] = {4.0 / 9, 1.0 / 9, 1.0 / 9, 1.0 / 9, 1.0 / 9, 1.0 / 36, 1.0 / 36, 1.0 / 36, 1.0 / 36};
/* Product of both rates' offsets; at this value a straight wall lies midway between nodes, whatever the viscosity. */
static const double MAGIC = 3.0/16;
/* Over these lengths behind the inflow and before the outflow the fluid is thicker, which damps sound. */
static const double SPONGE_IN = 0.8, SPONGE_OUT = 1.5, THICK_TIME = 0.3;
/* Time in which the obstacle appears, in units of L / speed. */
static const double APPEARING = 3, PI = 3.14159265358979323846;

static inline int opposite(int i) { return i == 0 ? 0 : ((i - 1) ^ 1) + 1; }
/* Nodes have a frame of one around them; a column's nodes follow each other. */
static inline int place(const struct flow *flow, int x, int y) { return (x + 1) * (flow->height + 2) + y + 1; }

static double equilibrium(int i, double density, double u, double v) {
  double along = CX[i] * u + CY[i] * v;
  return WEIGHT[i] * (density + 3 * along + 4.5 * along * along - 1.5 * (u * u + v * v));
}

static double inflow(const struct setting *setting, const struct flow *flow, int y) {
  if (!setting->channel) return setting->speed;
  double at = (y + 0.5) / flow->height;
  return 6 * setting->speed * at * (1 - at);
}

static double to_shape(const struct setting *setting, int node, double middle) {
  return (node + 0.5) / setting->resolution - middle;
}

static void mark_solid(struct flow *flow, const struct setting *setting, const struct shape *shape) {
  int count = 0;
  for (int x = 0; x < flow->width; x++)
    for (int y = 0; y < flow->height; y++) {
      if (!inside(shape, to_shape(setting, x, setting->x), to_shape(setting, y, setting->y))) continue;
      if (x < 2 || y < 2 || x >= flow->width - 2 || y >= flow->height - 2)
        fail("the obstacle must stand in the channel with two cells of fluid all around", NULL);
      flow->solid[place(flow, x, y)] = 1;
      count++;
    }
  if (count == 0) fail("no cell lies within the obstacle: --resolution is too low", NULL);
}

/* The part of the way from a fluid node to a solid one at which the obstacle begins. */
static double surface(const struct setting *setting, const struct shape *shape, int x, int y, int i) {
  double low = 0, high = 1;
  for (int round = 0; round < 30; round++) {
    double middle = 0.5 * (low + high);
    int hit = inside(shape, to_shape(setting, x, setting->x) + middle * CX[i] / setting->resolution,
                     to_shape(setting, y, setting->y) + middle * CY[i] / setting->resolution);
    if (hit) high = middle;
    else low = middle;
  }
  return high;
}

/* Bounce-back, interpolated to where the obstacle begins (Bouzidi, Firdaouss, Lallemand 2001). */
static struct link obstacle_link(const struct flow *flow, const struct setting *setting, const struct shape *shape, int x,
                                 int y, int i) {
  int here = place(flow, x, y), beyond = place(flow, x + CX[i], y + CY[i]), behind = place(flow, x - CX[i], y - CY[i]);
  double part = surface(setting, shape, x, y, i);
  struct link link = {.to = beyond * Q + opposite(i), .from = here * Q + i, .other = here * Q + i, .weight = 1};
  if (part >= 0.5) {
    link.other = here * Q + opposite(i);
    link.weight = 0.5 / part;
  } else if (!flow->solid[behind]) {
    link.other = behind * Q + i;
    link.weight = 2 * part;
  }
  link.other_weight = 1 - link.weight;
  double through = 6 * WEIGHT[i] * (part >= 0.5 ? link.weight : 1);
  link.along = -through * CX[i] * inflow(setting, flow, y);
  link.across = -through * CY[i] * setting->speed;
  return link;
}

/* What comes back from the walls: bounce-back, or where they let slip a turn of the motion across the wall only. */
static struct link wall_link(const struct flow *flow, const struct setting *setting, int x, int y, int i) {
  int here = place(flow, x, y), to_x = x + CX[i], to_y = y + CY[i];
  struct link link = {.to = place(flow, to_x, to_y) * Q + opposite(i), .from = here * Q + i, .other = here * Q + i, .weight = 1};
  if (setting->channel || to_x < 0 || to_x >= flow->width) return link;
  for (int back = 1; back < Q; back++)
    if (CX[back] == CX[i] && CY[back] == -CY[i]) link.to = place(flow, x, to_y) * Q + back;
  return link;
}

static void make_links(struct flow *flow, const struct setting *setting, const struct shape *shape) {
  int most = 0;
  for (int pass = 0; pass < 2; pass++) {
    for (int x = 0; x < flow->width; x++)
      for (int y = 0; y < flow->height; y++)
        for (int i = 1; i < Q && !flow->solid[place(flow, x, y)]; i++) {
          if (!flow->solid[place(flow, x + CX[i], y + CY[i])]) continue;
          if (pass == 1) {
            flow->links[flow->all_links] = obstacle_link(flow, setting, shape, x, y, i);
            flow->direction[flow->all_links++] = i;
          } else most++;
        }
    if (pass == 1) break;
    flow->direction = allocate((size_t)most, sizeof *flow->direction);
    flow->links = allocate((size_t)(most + 6 * flow->width), sizeof *flow->links);
  }
  flow->obstacle_links = flow->all_links;
  for (int x = 0; x < flow->width; x++)
    for (int y = 0; y < flow->height; y += flow->height - 1)
      for (int i = 1; i < Q; i++)
        if (y + CY[i] < 0 || y + CY[i] >= flow->height) flow->links[flow->all_links++] = wall_link(flow, setting, x, y, i);
  flow->inflow = allocate((size_t)flow->height, sizeof *flow->inflow);
  for (int y = 0; y < flow->height; y++) flow->inflow[y] = inflow(setting, flow, y);
}

static void make_runs(struct flow *flow) {
  int rows = flow->height + 1;
  flow->runs = allocate((size_t)flow->width, (size_t)rows * sizeof *flow->runs);
  for (int x = 0; x < flow->width; x++) {
    int *run = flow->runs + x * rows, count = 0;
    for (int y = 0; y < flow->height; y++) {
      if (flow->solid[place(flow, x, y)]) continue;
      if (y == 0 || flow->solid[place(flow, x, y - 1)]) run[1 + 2 * count++] = y;
      run[2 * count]++;
    }
    run[0] = count;
  }
}

static void set_rates(struct flow *flow, double fade) {
  double time = flow->time + fade * fmax(THICK_TIME - flow->time, 0);
  for (int x = 0; x < flow->width; x++) {
    double in = 1 - (x + 0.5) / (SPONGE_IN * flow->resolution);
    double behind = 1 - (flow->width - 0.5 - x) / (SPONGE_OUT * flow->resolution);
    double within = fmax(fmax(in, behind), 0), even = time + within * within * fmax(THICK_TIME - time, 0);
    flow->even[x] = 0.5 / (even + 0.5);
    flow->odd[x] = 0.5 / (MAGIC / even + 0.5);
  }
}

/* The inflow everywhere. The obstacle appears bit by bit (fade), since a blow would sound in the channel for long. */
static void start(struct flow *flow, const struct setting *setting) {
  for (int x = 0; x < flow->width; x++)
    for (int y = 0; y < flow->height; y++)
      for (int i = 0; i < Q; i++)
        flow->now[place(flow, x, y) * Q + i] = equilibrium(i, 0, inflow(setting, flow, y), 0);
}

struct flow open_flow(const struct setting *setting, const struct shape *shape) {
  struct flow flow = {.width = (int)floor(setting->length * setting->resolution + 0.5),
                      .height = (int)floor(setting->height * setting->resolution + 0.5)};
  size_t nodes = (size_t)(flow.width + 2) * (size_t)(flow.height + 2);
  flow.solid = allocate(nodes, 1);
  flow.now = allocate(nodes * Q, sizeof *flow.now);
  flow.next = allocate(nodes * Q, sizeof *flow.next);
  mark_solid(&flow, setting, shape);
  make_links(&flow, setting, shape);
  make_runs(&flow);
  flow.slips = !setting->channel;
  flow.resolution = setting->resolution;
  flow.time = 3 * setting->speed * setting->resolution / setting->reynolds;
  flow.even = allocate((size_t)flow.width, sizeof *flow.even);
  flow.odd = allocate((size_t)flow.width, sizeof *flow.odd);
  flow.appearing = (int)ceil(APPEARING * setting->resolution / setting->speed);
  start(&flow, setting);
  return flow;
}

static void moments(const double *f, double *density, double *u, double *v) {
  *density = f[0] + f[1] + f[2] + f[3] + f[4] + f[5] + f[6] + f[7] + f[8];
  *u = f[1] - f[2] + f[5] - f[6] + f[7] - f[8];
  *v = f[3] - f[4] + f[5] - f[6] - f[7] + f[8];
}

/*
 * The inflow is in equilibrium at its speed, with the pressure behind it. At the outflow the pressure is held: what comes
 * back is turned round in sign, around the equilibrium.
 */
static void bound_ends(struct flow *flow) {
  static const int DOWNSTREAM[] = {1, 5, 7};
  for (int y = 0; y < flow->height; y++) {
    const double *first = flow->now + place(flow, 0, y) * Q, *last = flow->now + place(flow, flow->width - 1, y) * Q;
    double pressure, density, u, v;
    moments(first, &pressure, &u, &v);
    moments(last, &density, &u, &v);
    for (int k = 0; k < 3; k++) {
      int i = DOWNSTREAM[k], back = opposite(i), to_y = y + CY[i];
      int corner = to_y < 0 || to_y >= flow->height;
      flow->now[place(flow, -1, y) * Q + i] = equilibrium(i, pressure, flow->inflow[y], 0);
      if (corner && flow->slips) flow->now[place(flow, -1, to_y) * Q + 12 - i] = equilibrium(i, pressure, flow->inflow[y], 0);
      if (!corner || flow->slips)
        flow->now[place(flow, flow->width, to_y) * Q + back] = equilibrium(i, 0, u, v) + equilibrium(back, 0, u, v) - last[i];
    }
  }
}

static struct force bound(struct flow *flow) {
  struct force force = {0, 0};
  /* At first the obstacle goes with the flow; the bit of motion across lets a flow that is symmetric shed sooner. */
  double fade = flow->steps < flow->appearing ? 0.5 + 0.5 * cos(PI * flow->steps / flow->appearing) : 0;
  double aside = 2 * fade * (1 - fade);
  if (flow->steps <= flow->appearing + RATE_STEPS && flow->steps % RATE_STEPS == 0) set_rates(flow, fade);
  flow->steps++;
  double *now = flow->now;
  for (int k = 0; k < flow->all_links; k++) {
    const struct link *link = &flow->links[k];
    double gone = now[link->from], back = link->weight * gone + link->other_weight * now[link->other];
    if (fade > 0) back += fade * link->along + aside * link->across;
    now[link->to] = back;
    if (k >= flow->obstacle_links) continue;
    /* The momentum that the fluid gives to the obstacle (Ladd 1994). */
    force.x += CX[flow->direction[k]] * (gone + back);
    force.y += CY[flow->direction[k]] * (gone + back);
  }
  bound_ends(flow);
  return force;
}

/* Fetches what flows into each of `count` nodes of a column and lets it collide. The pointers are to the node below. */
static void collide(const double *left, const double *middle, const double *right, double *to, int count, double even,
                    double odd) {
  double even9 = 2.0 / 9 * even, keep = 1 - 2 * even, odd3 = 2.0 / 3 * odd, odd6 = 1.0 / 6 * odd;
  for (const double *end = middle + count * Q; middle < end; left += Q, middle += Q, right += Q, to += Q) {
    double f0 = middle[Q], f1 = left[Q + 1], f2 = right[Q + 2], f3 = middle[3], f4 = middle[2 * Q + 4];
    double f5 = left[5], f6 = right[2 * Q + 6], f7 = left[2 * Q + 7], f8 = right[8];
    double sum1 = f1 + f2, sum3 = f3 + f4, sum5 = f5 + f6, sum7 = f7 + f8;
    double gap1 = f1 - f2, gap3 = f3 - f4, gap5 = f5 - f6, gap7 = f7 - f8;
    double u = gap1 + gap5 + gap7, v = gap3 + gap5 - gap7, uu = u * u, vv = v * v;
    /* Each pair moves towards its equilibrium; what all have in common is the pressure and the speed's square. */
    double base = f0 + sum1 + sum3 + sum5 + sum7 - 1.5 * (uu + vv), part = even9 * base, quarter = 0.25 * part;
    to[0] = f0 * keep + 4 * part;
    double s = even * (sum1 - uu) - part, d = odd * gap1 - odd3 * u;
    to[1] = f1 - s - d, to[2] = f2 - s + d;
    s = even * (sum3 - vv) - part, d = odd * gap3 - odd3 * v;
    to[3] = f3 - s - d, to[4] = f4 - s + d;
    double along = u + v, across = u - v;
    s = even * (sum5 - 0.25 * (along * along)) - quarter, d = odd * gap5 - odd6 * along;
    to[5] = f5 - s - d, to[6] = f6 - s + d;
    s = even * (sum7 - 0.25 * (across * across)) - quarter, d = odd * gap7 - odd6 * across;
    to[7] = f7 - s - d, to[8] = f8 - s + d;
  }
}

struct force advance(struct flow *flow) {
  struct force force = bound(flow);
  int column = (flow->height + 2) * Q, rows = flow->height + 1;
  for (int x = 0; x < flow->width; x++) {
    const int *run = flow->runs + x * rows;
    for (int k = 0; k < run[0]; k++) {
      int below = (place(flow, x, run[1 + 2 * k]) - 1) * Q;
      const double *from = flow->now + below;
      collide(from - column, from, from + column, flow->next + below + Q, run[2 + 2 * k], flow->even[x], flow->odd[x]);
    }
  }
  double *spare = flow->now;
  flow->now = flow->next;
  flow->next = spare;
  return force;
}

void velocity_at(const struct flow *flow, int x, int y, double *u, double *v) {
  double density;
  int here = place(flow, x, y);
  *u = *v = 0;
  if (!flow->solid[here]) moments(flow->now + here * Q, &density, u, v);
}
