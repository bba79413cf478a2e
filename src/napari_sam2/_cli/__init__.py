"""The commands of ``napari-sam2``, one module each; `napari_sam2.cli` puts them together."""
