"""What a trained model is called."""

from storage.records import TrainedModel

ModelKey = tuple[int, int]
"""(model_no, model_sub_no), within a batch."""

ModelName = tuple[int, int, int]
"""(batch_id, model_no, model_sub_no)"""


def name_of(model: TrainedModel) -> ModelName:
    return model.batch_id, model.model_no, model.model_sub_no


def written(name: ModelName) -> str:
    """As people read it: batch 12, model 3/1."""
    return f"batch {name[0]}, model {name[1]}/{name[2]}"
