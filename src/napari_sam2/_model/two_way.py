"""The decoder's transformer: tokens attend to the image and the image to tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from napari_sam2._model.attention import Attention, PlaceAttention, TokenAttention
from napari_sam2._model.layers import Mlp, exactly

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2._model.config import Sam2Config


@dataclass(frozen=True)
class TwoWayState:
    """Tokens (B, n, C) and image (B, N, C) between layers."""

    queries: Tensor
    keys: Tensor


class TwoWayLayer(nn.Module):
    """Token self-attention, tokens to image, MLP, image to tokens."""

    def __init__(self, config: Sam2Config, *, first: bool) -> None:
        super().__init__()
        dim, heads, inner = config.model_dim, config.decoder_heads, config.model_dim // 2
        self.first = first
        self.self_attn = Attention(dim, heads)
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image = TokenAttention(dim, heads, inner_dim=inner)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp((dim, config.decoder_mlp_dim, dim))
        self.norm3 = nn.LayerNorm(dim)
        self.norm4 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token = PlaceAttention(dim, heads, inner_dim=inner)

    def forward(self, state: TwoWayState, query_code: Tensor, key_code: Tensor) -> TwoWayState:
        """Advance tokens and image by one layer; the codes are added wherever something is looked up."""
        with exactly(state.queries):
            queries = self.norm1(self._attend_self(state.queries, query_code))
        places = state.keys + key_code
        looked_up = self.cross_attn_token_to_image(queries + query_code, places, state.keys)
        queries = self.norm2(queries + looked_up)
        with exactly(queries):
            queries = self.norm3(queries + self.mlp(queries))
        update = self.cross_attn_image_to_token(places, queries + query_code, queries)
        return TwoWayState(queries, self.norm4(state.keys + update))

    def _attend_self(self, queries: Tensor, code: Tensor) -> Tensor:
        if self.first:
            # The tokens are their own code there, so neither code nor residual is added.
            mixed: Tensor = self.self_attn(queries, queries, queries)
            return mixed
        return queries + self.self_attn(queries + code, queries + code, queries)


class TwoWayTransformer(nn.Module):
    """A stack of two-way layers and one last look of the tokens at the image."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayLayer(config, first=i == 0) for i in range(config.decoder_depth))
        self.final_attn_token_to_image = TokenAttention(
            config.model_dim, config.decoder_heads, inner_dim=config.model_dim // 2
        )
        self.norm_final_attn = nn.LayerNorm(config.model_dim)

    def forward(self, image: Tensor, image_code: Tensor, tokens: Tensor) -> TwoWayState:
        """Run the stack.

        Parameters
        ----------
        image, image_code : Tensor
            (B, C, g, g) and (1, C, g, g).
        tokens : Tensor
            (B, n, C).
        """
        key_code = image_code.flatten(2).transpose(1, 2).contiguous()  # added to channels-last maps
        state = TwoWayState(tokens, image.flatten(2).transpose(1, 2))
        for layer in self.layers:
            state = layer(state, tokens, key_code)
        last = self.final_attn_token_to_image(state.queries + tokens, state.keys + key_code, state.keys)
        return TwoWayState(self.norm_final_attn(state.queries + last), state.keys)
