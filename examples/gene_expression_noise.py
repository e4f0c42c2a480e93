"""Noise in gene expression: the Fano factor of a protein against its burst size.

mRNA is made at rate k and lost at rate d; each mRNA makes proteins at rate b d, so b in its life; proteins
are lost at rate g.  Thattai and van Oudenaarden (2001, doi:10.1073/pnas.151588598) find in the long run

    variance / mean = 1 + b / (1 + g / d),

whatever the mean: translation in bursts, not the number of molecules, sets the noise.
"""

import fsp


def gene(burst: float) -> fsp.Model:
    return fsp.Model(
        name="gene_expression",
        species={"M": 0, "P": 0},
        parameters={"k": 4.0, "d": 4.0, "b": burst, "g": 1.0},
        reactions=[
            fsp.Reaction("0 -> M", mass_action="k", name="transcribe"),
            fsp.Reaction("M -> 0", mass_action="d", name="lose_M"),
            fsp.Reaction("M -> M + P", rate="b * d * M", name="translate"),
            fsp.Reaction("P -> 0", mass_action="g", name="lose_P"),
        ],
    )


def test_gene_expression_noise():
    print("burst size   mean    Fano   expected   states")
    for burst in (0.5, 2.0, 5.0):
        dist = fsp.stationary(gene(burst), tol=1e-9)
        mean, variance = dist.mean()["P"], dist.variance()["P"]
        expected = 1 + burst / (1 + 1 / 4)
        print(f"{burst:10.1f} {mean:6.2f} {variance / mean:7.4f} {expected:10.4f} {len(dist):8d}")
        assert abs(mean - 4 * burst) < 1e-4
        assert abs(variance / mean - expected) < 1e-4


if __name__ == "__main__":
    test_gene_expression_noise()
