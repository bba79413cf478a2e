from napari_sam2 import FramePrompts, Session, load_model
from napari_sam2.samples import drifting_cells

model = load_model("nano")  # or "sam2.1-tiny", or the path of a .pt or .safetensors file
session = Session(drifting_cells().images, model=model)  # a numpy, dask or zarr array; files: Session.open
session.set_prompts(1, 0, FramePrompts(points=((147, 172),), positive=(True,)))
for result in session.propagate():
    print(result.frame, result.objects, result.presence)
session.export("labels.tif")
session.save("cells.sam2.json")  # Session.load goes on from here
