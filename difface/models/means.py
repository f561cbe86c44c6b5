"""What the means of x_t tell of its noise: a network that normalises its features hardly sees them."""

from functools import cache

import torch

from difface.contraction import contraction

Colours = tuple[tuple[float, ...], ...]
"""How training faces' mean colours are spread, in [-1, 1]: their mean (R, G, B) and the rows of their covariance."""


def even(eps: torch.Tensor, x_t: torch.Tensor, timestep: torch.Tensor | float | int, patch_size: int) -> torch.Tensor:
    """Predicted noise whose means at the places of a patch are those that x_t shows.

    Over a whole photo the pixels at each of the p x p places of a patch have the same mean, so what differs between
    these means in x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps is noise alone, and eps has it 1 / sqrt(1 - abar_t)
    times as large. Without this a network leaves a grid of the patches.

    Args:
        eps: predicted by the network, (B, C p^2, H, W), as `pixel_unshuffle` orders channels.
        x_t: its input, of the same shape.
        timestep: t in 0..T-1, a number or (B,), on the noise schedule that all priors have.
        patch_size: p.

    Returns:
        As `eps`, in float32.

    Example:
        >>> from torch.nn.functional import pixel_unshuffle
        >>> x_0, noise = torch.full((1, 3, 8, 8), 0.5), torch.randn(1, 3, 8, 8)
        >>> abar = contraction().alphas_cumprod[400].float()
        >>> x_t = pixel_unshuffle(abar.sqrt() * x_0 + (1 - abar).sqrt() * noise, 2)
        >>> found = even(torch.zeros_like(x_t), x_t, 400, 2)
        >>> means = pixel_unshuffle(noise, 2).mean((2, 3)).view(3, 4)
        >>> torch.allclose(found.mean((2, 3)).view(3, 4), means - means.mean(1, keepdim=True), atol=1e-6)
        True
    """
    level = _at(_noise_levels(x_t.device), timestep).reshape(-1, 1, 1, 1)
    return eps.float() + _differences(x_t, patch_size) / level - _differences(eps, patch_size)


def coloured(
    eps: torch.Tensor, x_t: torch.Tensor, timestep: torch.Tensor | float | int, colours: Colours
) -> torch.Tensor:
    """Predicted noise whose mean in each channel is the one to be expected of a face.

    A face's mean colour m is about normal, N(mu, S), over the training faces, and that of x_t is d = sqrt(abar_t) m +
    sqrt(1 - abar_t) z with z ~ N(0, I / (H W)). So

        E[m | d] = mu + sqrt(abar_t) S (abar_t S + (1 - abar_t) / (H W) I)^-1 (d - sqrt(abar_t) mu),

    and the mean of eps is (d - sqrt(abar_t) E[m | d]) / sqrt(1 - abar_t). Without this faces that a prior draws from
    noise have a tint: near t = T a small error of that mean is a large one of m.

    Args:
        eps: predicted by the network, (B, 3, H, W).
        x_t: its input, of the same shape.
        timestep: as for `even`.
        colours: mu and S.

    Returns:
        As `eps`, in float32.

    Example:
        >>> grey = ((0.2, 0.2, 0.2), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))  # every face has this mean
        >>> x_0, noise = torch.full((1, 3, 8, 8), 0.2), torch.randn(1, 3, 8, 8)
        >>> abar = contraction().alphas_cumprod[900].float()
        >>> x_t = abar.sqrt() * x_0 + (1 - abar).sqrt() * noise
        >>> torch.allclose(coloured(noise + 0.1, x_t, 900, grey), noise, atol=1e-6)
        True
    """
    gain, rest = (_at(table, timestep) for table in _expectations(x_t.device, colours, x_t[0, 0].numel()))
    mean = (gain @ x_t.float().mean((2, 3))[..., None])[..., 0] + rest
    return eps.float() + (mean - eps.float().mean((2, 3)))[..., None, None]


@cache
def _noise_levels(device: torch.device) -> torch.Tensor:
    """sqrt(1 - abar_t), (T,), kept on the device: fetching one entry at every call would make a GPU wait."""
    return (1 - contraction().alphas_cumprod).sqrt().float().to(device)


@cache
def _expectations(device: torch.device, colours: Colours, pixels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(T, 3, 3) and (T, 3): what the mean d of x_t is multiplied by, and what is added, to get that of eps."""
    mu, covariance = torch.tensor(colours[0]).double(), torch.tensor(colours[1:]).double()
    abar, one = contraction().alphas_cumprod[:, None, None], torch.eye(3).double()
    weight = abar.sqrt() * covariance @ torch.linalg.inv(abar * covariance + (1 - abar) / pixels * one)
    level = (1 - abar).sqrt()
    rest = -abar.sqrt() / level * ((one - abar.sqrt() * weight) @ mu[:, None])
    return ((one - abar.sqrt() * weight) / level).float().to(device), rest[..., 0].float().to(device)


def _at(table: torch.Tensor, timestep: torch.Tensor | float | int) -> torch.Tensor:
    """The entries of one timestep, or of each of (B,)."""
    return table[torch.as_tensor(timestep, device=table.device).long()]


def _differences(patches: torch.Tensor, patch_size: int) -> torch.Tensor:
    """(B, C p^2, 1, 1): how far the mean at each place of a patch is from that of all its places."""
    means = patches.float().mean((2, 3)).unflatten(1, (-1, patch_size**2))
    return (means - means.mean(2, keepdim=True)).flatten(1)[:, :, None, None]
