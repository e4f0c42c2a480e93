"""Repressilator: three genes in a ring, each of which represses the next; the cells fall out of step.

From a start with one protein high the ring turns; from a start that is the same for all three, all three have the same
law at all times, as nothing tells them apart.
"""

import fsp


def ring(**start):
    """Return the network: A represses B, B represses C, C represses A."""
    pairs = [("A", "C"), ("B", "A"), ("C", "B")]
    made = [fsp.Reaction(f"0 -> {gene}", rate=f"k/(1 + ({other}/K)^3)") for gene, other in pairs]
    lost = [fsp.Reaction(f"{gene} -> 0", mass_action=1.0) for gene, _ in pairs]
    return fsp.Model(name="repressilator", species=start, parameters={"k": 12.0, "K": 3.0}, reactions=made + lost)


def test_repressilator():
    turning = fsp.transient(ring(A=10, B=0, C=0), times=[1.0, 2.0], tol=1e-3)
    print(turning)
    for dist in turning:
        ahead = dist.probability("C > B")
        print(f"t = {dist.t:g}: C is ahead of B with probability {ahead}")
        assert ahead > 0.5  # B is repressed by A, and so C is not by B

    alike = fsp.transient(ring(A=2, B=2, C=2), times=[1.0], tol=1e-3)[-1]
    for low in (0, 3, 8):
        bounds = [alike.probability(f"{gene} > {low}") for gene in "ABC"]
        assert max(one.lower for one in bounds) <= min(one.upper for one in bounds)


if __name__ == "__main__":
    test_repressilator()
