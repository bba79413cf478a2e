import napari

from napari_sam2 import propagate_prompts
from napari_sam2.samples import drifting_cells

viewer = napari.Viewer()
cells = viewer.add_image(drifting_cells().images, name="cells")
clicks = viewer.add_points([[0, 147, 172], [0, 50, 60]], name="clicks")  # (t, y, x)
labels, options, kind = propagate_prompts(cells, points=clicks)
viewer.add_labels(labels, **options)
print(labels.shape, labels.max())
napari.run()
