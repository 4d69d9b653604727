#ifndef FLOW_H
#define FLOW_H

#include <stdint.h>

#include "shape.h"

/* What is simulated. Lengths in units of the reference length L, speed in cells a step. */
struct setting {
  double reynolds;          /* mean speed of the inflow times L over viscosity */
  double speed;             /* mean of the inflow */
  double resolution;        /* cells on L */
  double length, height;    /* of the channel */
  double x, y;              /* the obstacle's middle, from the inflow and the lower wall */
  int channel;              /* walls hold the fluid and the inflow is a parabola; else both let it slip */
};

/* A link from a fluid node to a node beyond a boundary: the value that comes back is made of two that are there. */
struct link {
  int to, from, other; /* places among the populations */
  double weight, other_weight;
  double along, across; /* added while the obstacle appears */
};

struct force {
  double x, y; /* in lattice units, per depth of one cell */
};

struct flow {
  int width, height;  /* nodes, without the frame around them */
  uint8_t *solid;     /* with the frame */
  double *now, *next; /* nine populations a node, less their weights at rest */
  struct link *links; /* those of the obstacle come first */
  int *direction;     /* of each of the obstacle's links */
  int obstacle_links, all_links;
  int slips;          /* the walls let it */
  double *inflow;     /* its speed at each row */
  int steps, appearing; /* done, and those in which the obstacle appears */
  int *runs;          /* for each column: count of runs of fluid, then their first nodes and lengths */
  double resolution, time; /* the relaxation time of the even moments, less a half, which gives the viscosity */
  double *even, *odd; /* half the relaxation rates of each column */
};

/* Makes the grid and the flow at its start; ends the program where the obstacle does not fit. */
struct flow open_flow(const struct setting *setting, const struct shape *shape);
/* Advances by one step and gives the force of the fluid on the obstacle in it. */
struct force advance(struct flow *flow);
/* The velocity at a node in cells a step; 0 in solid. */
void velocity_at(const struct flow *flow, int x, int y, double *u, double *v);

#endif
